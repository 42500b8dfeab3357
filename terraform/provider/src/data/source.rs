//! What a data source is. Owns nothing.

use crate::connection::Connection;
use crate::diagnostic::Diagnostics;
use crate::schema::Schema;
use crate::value::{Object, Value};

/// Something to look at.
#[tonic::async_trait]
pub trait Source: Send + Sync {
    /// Its name in Terraform's language.
    fn name(&self) -> &'static str;

    /// Its attributes.
    fn schema(&self) -> &Schema;

    /// Judges a configuration as far as it is known.
    fn validate(&self, config: &Value) -> Diagnostics;

    /// Looks.
    async fn read(&self, on: &Connection, config: &Value) -> Result<Object, Diagnostics>;
}
