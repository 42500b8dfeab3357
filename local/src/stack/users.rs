//! The NATS users of a stack: one for each service, with the least that it needs, and
//! an operator who sets everything up. Passwords are as short-lived as the servers.
//!
//! Owns nothing but the list.

use devstack::NatsUser;
use protocol::name::StoreName;
use protocol::permission::Role;
use protocol::secret::Secret;
use rand::Rng;
use service::settings::NatsSettings;

/// Who may do everything.
const OPERATOR: &str = "operator";

/// The operator, who comes first, and every service's user, for these stores.
pub fn nats_users(stores: &[StoreName], mut password: impl FnMut() -> String) -> Vec<NatsUser> {
    let operator = NatsUser {
        name: OPERATOR.to_owned(),
        password: password(),
        ..NatsUser::default()
    };
    let services = Role::ALL.into_iter().map(|role| {
        let allowed = role.permissions_for(stores);
        NatsUser {
            name: role.user().to_owned(),
            password: password(),
            publish_allow: allowed.publish,
            subscribe_allow: allowed.subscribe,
            answer_within: allowed.answer_within,
            ..NatsUser::default()
        }
    });
    std::iter::once(operator).chain(services).collect()
}

/// A password for a server that lives as long as this process: 128 random bits.
pub(super) fn random_password() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}

/// How to reach NATS, as whom.
#[derive(Debug, Clone)]
pub(super) struct Access {
    /// The server's address.
    pub url: String,
    /// Its users; none where the server is not ours.
    pub users: Vec<NatsUser>,
}

impl Access {
    /// As a service.
    pub fn service(&self, role: Role) -> NatsSettings {
        self.user(role.user())
    }

    /// As the one who may do everything.
    pub fn operator(&self) -> NatsSettings {
        self.user(OPERATOR)
    }

    /// The address for people, with what they need to use it.
    pub fn address(&self) -> String {
        match (self.users.first(), self.url.split_once("://")) {
            (Some(user), Some((scheme, host))) => {
                format!("{scheme}://{}:{}@{host}", user.name, user.password)
            }
            _ => self.url.clone(),
        }
    }

    fn user(&self, name: &str) -> NatsSettings {
        let user = self.users.iter().find(|user| user.name == name);
        NatsSettings {
            url: self.url.clone(),
            user: user.map(|user| user.name.clone()),
            password: user.map(|user| Secret::new(user.password.as_str())),
            ..NatsSettings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_is_somebody_of_its_own() {
        let mut passwords = 0;
        let users = nats_users(&[StoreName::parse("main").unwrap()], || {
            passwords += 1;
            passwords.to_string()
        });
        let access = Access {
            url: "nats://127.0.0.1:4".into(),
            users,
        };
        assert_eq!(access.address(), "nats://operator:1@127.0.0.1:4");
        let worker = access.service(Role::Worker);
        assert_eq!(worker.user.as_deref(), Some("worker"));
        assert_eq!(worker.password.unwrap().expose(), "3");
        let foreign = Access {
            users: Vec::new(),
            ..access
        };
        assert_eq!(foreign.address(), "nats://127.0.0.1:4");
        assert_eq!(foreign.service(Role::Edge).user, None);
    }
}
