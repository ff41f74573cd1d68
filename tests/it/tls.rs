//! TLS: a server that takes nothing else, certificates of the test's own.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};

use crate::support::{Page, Redis, Sidecar, wait_for, write};

/// Writes `ca.pem`, and `server` and `client` certificates with their keys.
pub(crate) fn certificates(directory: &Path, server_name: &str) {
    let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
    // By the library's default all certificates have one name, and the server would take each for its own issuer.
    authority.distinguished_name.push(DnType::CommonName, "test authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    write(&directory.join("ca.pem"), &authority.pem());
    for (name, usage) in
        [("server", ExtendedKeyUsagePurpose::ServerAuth), ("client", ExtendedKeyUsagePurpose::ClientAuth)]
    {
        let mut params = CertificateParams::new(vec![server_name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        write(&directory.join(format!("{name}.pem")), &certificate.pem());
        write(&directory.join(format!("{name}.key")), &key.serialize_pem());
    }
}

/// A server that takes TLS only, with client certificates as `tls-auth-clients` says.
fn tls_server(certificates: &Path, auth_clients: &str) -> Redis {
    let path = |name: &str| certificates.join(name).display().to_string();
    Redis::not_listening(&format!(
        "tls-port PORT\ntls-auth-clients {auth_clients}\ntls-ca-cert-file {}\ntls-cert-file {}\ntls-key-file {}",
        path("ca.pem"),
        path("server.pem"),
        path("server.key"),
    ))
}

fn up(page: &Page) -> bool {
    page.own("streamwarden_redis_up") == 1.0
}

fn failed(reason: &'static str) -> impl Fn(&Page) -> bool {
    move |page| page.get("streamwarden_poll_failures_total", &[("reason", reason)]).unwrap() >= 1.0
}

#[test]
fn a_tls_only_server_is_read_with_its_own_authority() {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path(), "localhost");
    let redis = tls_server(directory.path(), "no");
    let config = format!("redis: {{tls: {{ca_file: {}}}}}", directory.path().join("ca.pem").display());
    let sidecar = Sidecar::with_config(&format!("rediss://localhost:{}", redis.port()), &config);
    sidecar.wait("a poll over TLS", up);
}

#[test]
fn a_server_that_asks_for_a_client_certificate_gets_it() {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path(), "127.0.0.1");
    let redis = tls_server(directory.path(), "yes");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let uri = format!("rediss://127.0.0.1:{}", redis.port());
    let without = format!("redis: {{tls: {{ca_file: {}}}}}", path("ca.pem"));
    let refused = Sidecar::with_config(&uri, &without);
    wait_for("the refusal", || refused.log().contains("polling Redis failed").then_some(()));

    let with = format!(
        "redis: {{tls: {{ca_file: {}, cert_file: {}, key_file: {}}}}}",
        path("ca.pem"),
        path("client.pem"),
        path("client.key")
    );
    Sidecar::with_config(&uri, &with).wait("a poll over TLS", up);
}

#[test]
fn a_certificate_of_an_unknown_authority_or_another_name_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path(), "elsewhere.example");
    let redis = tls_server(directory.path(), "no");
    let uri = format!("rediss://localhost:{}", redis.port());
    let unknown = Sidecar::with_config(&uri, "");
    unknown.wait("the refusal", failed("tls"));
    assert!(unknown.log().contains("UnknownIssuer"), "{}", unknown.log());
    let config = format!("redis: {{tls: {{ca_file: {}}}}}", directory.path().join("ca.pem").display());
    let other_name = Sidecar::with_config(&uri, &config);
    other_name.wait("the refusal", failed("tls"));
    assert!(other_name.log().contains("not valid for name"), "{}", other_name.log());
}

#[test]
fn plain_to_a_tls_port_and_tls_to_a_plain_port_fail_with_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path(), "localhost");
    let encrypted = tls_server(directory.path(), "no");
    let plain = Redis::start();
    let timeouts = "redis: {connect_timeout: 500ms, command_timeout: 500ms}";
    let to_tls = Sidecar::with_config(&format!("redis://localhost:{}", encrypted.port()), timeouts);
    to_tls.wait("the failure", |page| !up(page) && (failed("closed")(page) || failed("protocol")(page)));
    let to_plain = Sidecar::with_config(&format!("rediss://localhost:{}", plain.port()), timeouts);
    to_plain.wait("the failure", |page| !up(page) && (failed("timeout")(page) || failed("tls")(page)));
}
