//! How to log in at the Sentinels of a `redis+sentinel://` address.

use std::path::Path;

use secrecy::SecretString;

use super::{
    Service,
    access::{Given, Secret},
    check,
    declare::section,
    problem::Problems,
    secret::{secret, shown},
    section::Section,
    setting::{Group, Shown},
};

section! {
    /// How to log in at the Sentinels, as the user writes it. [`Sentinel`] is what it leads to.
    struct SentinelKeys {
        /// User of the Sentinels. The user in the address is of Redis.
        username: Option<String> [check::any] = None;
        /// Password of the Sentinels. The password in the address is of Redis.
        password: Option<String> [check::any] = None;
        /// File that holds the password of the Sentinels. It is read again for each connection.
        password_file: Option<String> [check::any] = None;
        /// Whether the Sentinels use TLS, with the certificates of redis.tls. Without it they do if Redis does: with rediss+sentinel://.
        tls: Option<bool> = None;
    }
    check |it, section| {
        if it.username.is_some() && !section.has("password") && !section.has("password_file") {
            section.problem("username", "is set without a password; set redis.sentinel.password or redis.sentinel.password_file");
        }
    }
}

/// How to log in at the Sentinels. They have users and passwords of their own, and may use TLS where Redis does not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sentinel {
    user: Option<String>,
    password: Option<Given<Secret>>,
    is_tls: Option<bool>,
}

impl Sentinel {
    /// The user, if one is set, and the password. Reads the file that holds it. `None`: no login.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn login(&self) -> Result<Option<(Option<String>, SecretString)>, Problems> {
        let Some(Given { at, value }) = &self.password else { return Ok(None) };
        match value.read() {
            Ok(password) => Ok(Some((self.user.clone(), password))),
            Err(what) => {
                let mut problems = Problems::default();
                problems.add(at.as_str(), what);
                Err(problems)
            }
        }
    }

    /// The user; `None` for the default one.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The file that holds the password.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.password.as_ref()?.value {
            Secret::File(path) => Some(path),
            Secret::Inline(_) => None,
        }
    }

    /// Whether the Sentinels of this service use TLS.
    #[must_use]
    pub fn is_tls(&self, service: &Service) -> bool {
        self.is_tls.unwrap_or(service.is_tls)
    }
}

impl Group for Sentinel {
    type Bounds = ();

    fn read_keys(section: &mut Section<'_>, (): &()) -> Self {
        let keys = SentinelKeys::read_keys(section, &());
        let password = secret(section, ("password", keys.password), ("password_file", keys.password_file));
        Self { user: keys.username, password, is_tls: keys.tls }
    }

    fn show_keys(&self) -> Shown {
        let (password, password_file) = shown(self.password.as_ref());
        let keys = SentinelKeys { username: self.user.clone(), password, password_file, tls: self.is_tls };
        keys.show_keys()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use crate::config::check_in;

    #[test]
    fn each_wrong_setting_is_reported_with_its_place_and_a_fix() {
        let service = "uri: 'redis+sentinel://h/m'";
        for (redis, problem) in [
            (
                "uri: 'redis://h', sentinel: {tls: true}".to_owned(),
                "redis.sentinel: is set, and the address names no",
            ),
            (
                format!("{service}, sentinel: {{username: u}}"),
                "redis.sentinel.username: is set without a password",
            ),
            (
                format!("{service}, sentinel: {{password: a, password_file: /b}}"),
                "redis.sentinel.password: conflicts with redis.sentinel.password_file; set only one",
            ),
            (
                format!("{service}, sentinel: {{password: <redacted>}}"),
                "redis.sentinel.password: is what check-config prints in place of a secret",
            ),
            (
                format!("{service}, sentinel: {{password_file: /no/such}}"),
                "redis.sentinel.password_file: cannot",
            ),
            (format!("{service}, sentinel: {{tls: on}}"), "redis.sentinel.tls: must be true or false"),
            (
                format!("{service}, tls: {{server_name: a}}"),
                "redis.tls: is set, and the address is not rediss://",
            ),
        ] {
            let problems = check_in(&format!("redis: {{{redis}}}"), &[]).unwrap_err().to_string();
            assert!(problems.contains(problem), "{redis}: {problems}");
        }
    }

    #[test]
    fn the_sentinels_use_tls_if_redis_does_or_if_the_key_says_so() {
        for (uri, sentinel, is_tls) in [
            ("redis+sentinel://h/m", "", false),
            ("redis+sentinel://h/m", "tls: true", true),
            ("rediss+sentinel://h/m", "", true),
            ("rediss+sentinel://h/m", "tls: false", false),
        ] {
            let yaml = format!(
                "redis: {{uri: '{uri}', sentinel: {{{sentinel}}}, tls: {{server_name: {}}}}}",
                if uri.starts_with("rediss") || is_tls { "a" } else { "null" }
            );
            let redis = check_in(&yaml, &[]).unwrap().redis;
            let address = redis.access.address().unwrap();
            assert_eq!(redis.sentinel.is_tls(address.service().unwrap()), is_tls, "{yaml}");
        }
    }

    #[test]
    fn the_login_of_the_sentinels_is_not_that_of_redis_and_is_never_shown() {
        let yaml =
            "redis: {uri: 'redis+sentinel://u:p@h/m', sentinel: {username: watcher, password: s3cret}}";
        let config = check_in(yaml, &[]).unwrap();
        let (user, password) = config.redis.sentinel.login().unwrap().unwrap();
        assert_eq!((user.as_deref(), password.expose_secret()), (Some("watcher"), "s3cret"));
        assert_eq!(config.redis.access.address().unwrap().login(), Some(("u", "p")));
        assert_eq!(config.redis.place.as_deref(), Some("h:26379/m/0"));
        let shown = config.to_string();
        assert!(shown.contains("watcher") && !shown.contains("s3cret"), "{shown}");
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
