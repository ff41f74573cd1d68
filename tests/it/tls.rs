//! TLS: servers that take nothing else, and certificates of the test's own, some of them wrong.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};

use support::{Page, Redis, Sidecar, read, wait_for, write};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn params(name: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    // By the library's default all certificates have one name, and the server would take each for its own issuer.
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// The same, expired long ago.
fn expired(mut params: CertificateParams) -> CertificateParams {
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 11, 1));
    params
}

fn authority(mut params: CertificateParams) -> Authority {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes a certificate and its key.
fn issue(directory: &Path, name: &str, params: &CertificateParams, authority: &Authority) {
    let key = KeyPair::generate().unwrap();
    write(&directory.join(format!("{name}.pem")), &params.signed_by(&key, authority).unwrap().pem());
    write(&directory.join(format!("{name}.key")), &key.serialize_pem());
}

/// Writes `ca.pem`, and `server` and `client` certificates with their keys.
pub(crate) fn certificates(directory: &Path, server_name: &str) {
    let authority = authority(params("test authority", &[]));
    write(&directory.join("ca.pem"), &authority.pem());
    for (name, usage) in
        [("server", ExtendedKeyUsagePurpose::ServerAuth), ("client", ExtendedKeyUsagePurpose::ClientAuth)]
    {
        let mut params = params(name, &[server_name]);
        params.extended_key_usages = vec![usage];
        issue(directory, name, &params, &authority);
    }
}

/// A server that takes TLS only, with client certificates as `tls-auth-clients` says.
pub(crate) fn tls_server(certificates: &Path, auth_clients: &str) -> Redis {
    let path = |name: &str| certificates.join(name).display().to_string();
    Redis::not_listening(&format!(
        "tls-port PORT\ntls-auth-clients {auth_clients}\ntls-ca-cert-file {}\ntls-cert-file {}\ntls-key-file {}",
        path("ca.pem"),
        path("server.pem"),
        path("server.key"),
    ))
}

/// `redis.tls` with these files of the folder, and other keys.
fn tls(directory: &Path, files: &[(&str, &str)], keys: &str) -> String {
    let files: Vec<String> =
        files.iter().map(|(key, name)| format!("{key}: {}", directory.join(name).display())).collect();
    format!("redis: {{tls: {{{}{keys}}}}}", files.join(", "))
}

fn up(page: &Page) -> bool {
    page.own("streamwarden_redis_up") == 1.0
}

/// That the sidecar does not read this server, with the reason `tls` and in these words.
#[track_caller]
fn refuses(uri: &str, config: &str, words: &str) {
    let sidecar = Sidecar::with_config(uri, config);
    let is_tls =
        |page: &Page| page.get("streamwarden_poll_failures_total", &[("reason", "tls")]) >= Some(1.0);
    sidecar.wait(words, |page| is_tls(page) && !up(page));
    // The log comes over a pipe.
    let failure = wait_for("the failure in the log", || {
        sidecar.log().lines().find(|line| line.contains("\"tls\"")).map(str::to_owned)
    });
    assert!(failure.contains(words), "{words}: {failure}");
}

#[track_caller]
fn reads(uri: &str, config: &str) {
    Sidecar::with_config(uri, config).wait("a poll over TLS", up);
}

const CA: (&str, &str) = ("ca_file", "ca.pem");

#[test]
fn a_tls_only_server_is_read_with_its_own_authority() {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path(), "localhost");
    let redis = tls_server(directory.path(), "no");
    reads(&format!("rediss://localhost:{}", redis.port()), &tls(directory.path(), &[CA], ""));
}

#[test]
fn a_server_that_asks_for_a_client_certificate_gets_it() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    certificates(directory, "127.0.0.1");
    let redis = tls_server(directory, "yes");
    let uri = format!("rediss://127.0.0.1:{}", redis.port());
    refuses(
        &uri,
        &tls(directory, &[CA], ""),
        "the server asks for a client certificate; set redis.tls.cert_file",
    );
    let own = [CA, ("cert_file", "client.pem"), ("key_file", "client.key")];
    reads(&uri, &tls(directory, &own, ""));

    let stranger = authority(params("stranger", &[]));
    issue(directory, "stranger", &params("client", &[]), &stranger);
    let stranger = [CA, ("cert_file", "stranger.pem"), ("key_file", "stranger.key")];
    refuses(&uri, &tls(directory, &stranger, ""), "the server does not trust its authority");
    let mixed = [CA, ("cert_file", "client.pem"), ("key_file", "stranger.key")];
    refuses(&uri, &tls(directory, &mixed, ""), "it is not the key of the certificate in redis.tls.cert_file");
    let swapped = [CA, ("cert_file", "client.pem"), ("key_file", "client.pem")];
    refuses(&uri, &tls(directory, &swapped, ""), "has no private key in PEM format");
}

#[test]
fn an_expired_client_certificate_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let authority = authority(params("test authority", &[]));
    write(&directory.join("ca.pem"), &authority.pem());
    issue(directory, "server", &params("server", &["localhost"]), &authority);
    issue(directory, "client", &expired(params("client", &[])), &authority);
    let redis = tls_server(directory, "yes");
    let own = [CA, ("cert_file", "client.pem"), ("key_file", "client.key")];
    let words =
        "the server refuses the client certificate of redis.tls.cert_file: it is expired or not yet valid";
    refuses(&format!("rediss://localhost:{}", redis.port()), &tls(directory, &own, ""), words);
}

#[test]
fn a_certificate_of_an_unknown_authority_or_another_name_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    certificates(directory, "db.example");
    let redis = tls_server(directory, "no");
    let uri = format!("rediss://localhost:{}", redis.port());
    refuses(
        &uri,
        "",
        "is signed by an authority that is not trusted; put that authority, or the server's own",
    );
    refuses(
        &uri,
        &tls(directory, &[CA], ""),
        "is for db.example, not for localhost; use its name in the address",
    );
    reads(&uri, &tls(directory, &[CA], ", server_name: db.example"));
    refuses(
        &uri,
        &tls(directory, &[CA], ", server_name: other.example"),
        "is for db.example, not for other.example",
    );
    let other = authority(params("test authority", &[]));
    write(&directory.join("other.pem"), &other.pem());
    refuses(&uri, &tls(directory, &[("ca_file", "other.pem")], ""), "by another one with the same name");
}

#[test]
fn an_expired_certificate_is_reported_with_its_day() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let authority = authority(params("test authority", &[]));
    write(&directory.join("ca.pem"), &authority.pem());
    issue(directory, "server", &expired(params("server", &["localhost"])), &authority);
    let redis = tls_server(directory, "no");
    let uri = format!("rediss://localhost:{}", redis.port());
    let words = "the server's certificate expired on 2021-11-01 00:00:00 UTC";
    refuses(&uri, &tls(directory, &[CA], ""), words);
    // Nor is an expired one trusted as it is.
    refuses(&uri, &tls(directory, &[("ca_file", "server.pem")], ""), "its certificate expired on 2021-11-01");
    let both = read(directory.join("ca.pem")).unwrap();
    let both = both + &read(directory.join("server.pem")).unwrap();
    write(&directory.join("both.pem"), &both);
    refuses(&uri, &tls(directory, &[("ca_file", "both.pem")], ""), words);
}

#[test]
fn an_expired_authority_is_not_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let old = authority(expired(params("test authority", &[])));
    write(&directory.join("ca.pem"), &old.pem());
    issue(directory, "server", &params("server", &["localhost"]), &old);
    let redis = tls_server(directory, "no");
    let uri = format!("rediss://localhost:{}", redis.port());
    refuses(&uri, &tls(directory, &[CA], ""), "(redis.tls.ca_file): its certificate expired on 2021-11-01");
    let other = authority(params("other authority", &[]));
    write(&directory.join("both.pem"), &format!("{}{}", old.pem(), other.pem()));
    let words =
        "certificates in redis.tls.ca_file that are ignored, since they are expired or not yet valid: 1";
    refuses(&uri, &tls(directory, &[("ca_file", "both.pem")], ""), words);
    write(&directory.join("none.pem"), "a certificate\n");
    refuses(&uri, &tls(directory, &[("ca_file", "none.pem")], ""), "it has no certificate in PEM format");
}

#[test]
fn a_certificate_signed_by_itself_is_trusted_where_it_is_given() {
    // As `openssl req -x509` makes them, an authority's, and one without its mark; neither is for this host.
    for is_ca in [IsCa::Ca(BasicConstraints::Unconstrained), IsCa::NoCa] {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let is_marked = is_ca != IsCa::NoCa;
        let mut own = params("redis", &[]);
        own.is_ca = is_ca;
        let own = CertifiedIssuer::self_signed(own, KeyPair::generate().unwrap()).unwrap();
        write(&directory.join("server.pem"), &own.pem());
        write(&directory.join("server.key"), &own.key().serialize_pem());
        write(&directory.join("ca.pem"), &own.pem());
        let redis = tls_server(directory, "no");
        let uri = format!("rediss://localhost:{}", redis.port());
        reads(&uri, &tls(directory, &[CA], ""));
        let words = if is_marked { "self-signed; to trust it, put it" } else { "not trusted; put" };
        refuses(&uri, "", words);
        // Another one with the same names is not this one.
        let other = authority(params("redis", &[]));
        write(&directory.join("other.pem"), &other.pem());
        refuses(&uri, &tls(directory, &[("ca_file", "other.pem")], ""), "the server's certificate is");
    }
}

#[test]
fn plain_to_a_tls_port_and_tls_to_a_plain_port_are_distinguished() {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path(), "localhost");
    let encrypted = tls_server(directory.path(), "no");
    let plain = Redis::start();
    let config = "redis: {connect_timeout: 1s, command_timeout: 500ms}";
    let to_tls = format!("redis://localhost:{}", encrypted.port());
    refuses(&to_tls, config, "the server speaks TLS; use rediss:// instead of redis://");
    refuses(&format!("rediss://localhost:{}", plain.port()), config, "the server does not speak TLS");
}
