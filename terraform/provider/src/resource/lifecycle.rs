//! What a resource does, and what all of them have in common. Owns nothing.

use crate::connection::Connection;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::schema::Schema;
use crate::schema::plan::Proposal;
use crate::value::{Object, Value};

/// What a change has come to: all attributes, and what should be known.
pub type Done = Result<(Object, Diagnostics), Diagnostics>;

/// The attribute that keeps an object from being removed.
pub const PROTECTION: &str = "deletion_protection";

/// A kind of thing that is made and looked after.
#[tonic::async_trait]
pub trait Resource: Send + Sync {
    /// Its name in Terraform's language.
    fn name(&self) -> &'static str;

    /// Its attributes.
    fn schema(&self) -> &Schema;

    /// Judges a configuration as far as it is known, asking nobody.
    fn validate(&self, config: &Value) -> Diagnostics;

    /// Judges what is planned beside what there is, and fills in what is known of it.
    /// `prior` is null for one that is to be made.
    async fn plan(&self, on: &Connection, prior: &Value, proposal: &mut Proposal) -> Diagnostics;

    /// What there is of a state; `None`: it is gone.
    async fn read(&self, on: &Connection, state: &Value) -> Result<Option<Object>, Diagnostics>;

    /// Makes it. One that is there and the same is taken over.
    async fn create(&self, on: &Connection, planned: &Object) -> Done;

    /// Changes it.
    async fn update(&self, on: &Connection, prior: &Value, planned: &Object) -> Done;

    /// Removes it; one that is gone already is removed.
    async fn remove(&self, on: &Connection, prior: &Value) -> Result<(), Diagnostics>;

    /// The least that [`Self::read`] needs, of one that others have made.
    ///
    /// # Errors
    /// The id is none.
    fn import(&self, id: &str) -> Result<Object, Diagnostic>;
}

/// Refuses to remove what is protected.
pub fn protected(prior: &Value) -> Option<Diagnostic> {
    let name = prior.get("name").as_text().unwrap_or_default();
    prior.get(PROTECTION).is_true().then(|| {
        let detail = format!("Set {PROTECTION} = false and apply that first.");
        Diagnostic::error(format!("{name} is protected from being removed"), detail).at(PROTECTION)
    })
}

/// A state of which nothing but the name is known.
pub fn named(name: &str) -> Object {
    [("name".to_owned(), Value::text(name))].into()
}
