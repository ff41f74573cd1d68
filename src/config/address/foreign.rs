//! Schemes and parameters of other clients that this one refuses, with what to write instead.
//!
//! Only names in these lists are repeated to the user: any other text may be a piece of a password.

/// Names, separated by spaces, and what to write instead.
type Table = &'static [(&'static str, &'static str)];

const SCHEMES: Table = &[
    (
        "redis-sentinel rediss-sentinel valkey-sentinel sentinel sentinels redis+sentinels",
        "write redis+sentinel://host:26379,host:26379/mymaster",
    ),
    (
        "redis-cluster redis+cluster rediss-cluster rediss+cluster valkey-cluster cluster",
        "write redis://host:6379 with any node of the cluster: the others are found",
    ),
    ("redis-socket redis+socket redis-unix redisunix file socket", "write unix:///path for a Unix socket"),
    (
        "tls ssl redis+tls redis+ssl redis-tls redis-ssl redistls redisssl rediss+tls https",
        "write rediss://host:6379 for TLS",
    ),
    ("tcp redis+tcp redis-tcp http telnet", "write redis://host:6379"),
    ("redis+srv rediss+srv", "SRV records are not looked up: write redis://host:6379"),
];

const PARAMETERS: Table = &[
    ("database db_index dbid", "write ?db=N, or /N behind the host"),
    (
        "ssl_cert_reqs ssl_check_hostname skip_verify insecure insecure_skip_verify verify verify_ssl \
         ssl_verify ssl_verify_mode verify_mode verify_peer verifypeer rejectUnauthorized checkServerIdentity \
         verify_peer_name",
        "certificates are always verified: give the authority, or the server's own certificate, in redis.tls.ca_file, and \
         another name than the host in redis.tls.server_name",
    ),
    ("ssl tls use_ssl use_tls usessl secure", "write rediss:// for TLS"),
    (
        "ssl_ca_certs ssl_ca_cert ssl_ca_path ssl_ca_data ssl_cafile ca ca_cert ca_file cafile cacert",
        "write redis.tls.ca_file",
    ),
    ("ssl_certfile ssl_cert cert cert_file certfile", "write redis.tls.cert_file"),
    ("ssl_keyfile ssl_key key key_file keyfile", "write redis.tls.key_file"),
    ("servername server_name sni peer_name ssl_host", "write redis.tls.server_name"),
    (
        "timeout connect_timeout connectTimeout connection_timeout connectionTimeout dial_timeout \
         socket_connect_timeout",
        "write redis.connect_timeout",
    ),
    (
        "command_timeout commandTimeout socket_timeout socketTimeout soTimeout read_timeout write_timeout \
         read_write_timeout response_timeout",
        "write redis.command_timeout",
    ),
    ("client_name clientName connectionName name", "leave it out: the sidecar calls itself streamwarden"),
    ("auth passwd pw", "write redis.password or redis.password_file"),
    ("resp resp_version protocol_version", "write ?protocol=resp2 or ?protocol=resp3"),
    ("host port path scheme", "write it in front: redis://host:port, or unix:///path"),
    (
        "sentinelMasterId sentinel_master_id master_name master sentinels service_name",
        "write redis+sentinel://host:26379,host:26379/mymaster",
    ),
    ("sentinel_username", "write redis.sentinel.username"),
    ("sentinel_password", "write redis.sentinel.password or redis.sentinel.password_file"),
    (
        "addr cluster read_only route_by_latency route_randomly readonly",
        "remove it: a cluster is recognised, and all of its primaries are read",
    ),
    (
        "family keepAlive socket_keepalive socket_keepalive_options socket_type socket_read_size \
         health_check_interval retry retry_on_timeout retry_on_error retries max_retries maxRetriesPerRequest \
         min_retry_backoff max_retry_backoff retryStrategy max_connections pool_size pool_timeout pool_fifo \
         min_idle_conns max_idle_conns max_active_conns conn_max_idle_time conn_max_lifetime idle_timeout \
         idle_check_frequency max_conn_age decode_responses encoding encoding_errors lib_name lib_version \
         libraryName libraryVersion enableReadyCheck enableOfflineQueue lazyConnect keyPrefix prefix \
         persistent async_connect tcp_nodelay read_buffer_size write_buffer_size context_timeout_enabled \
         credential_provider single_connection_client virtual_host dns_cache alias weight identity cache \
         version",
        "leave it out: the sidecar has no such setting",
    ),
];

/// A known name that is refused, and what to write instead.
pub(super) type Advice = (&'static str, &'static str);

/// What to write instead of this scheme, if it is that of another client.
pub(super) fn scheme(text: &str) -> Option<Advice> {
    find(SCHEMES, text)
}

/// What to write instead of this parameter, if it is that of another client.
pub(super) fn parameter(text: &str) -> Option<Advice> {
    find(PARAMETERS, text)
}

fn find(table: Table, text: &str) -> Option<Advice> {
    table.iter().find_map(|(names, instead)| {
        names.split(' ').find(|name| name.eq_ignore_ascii_case(text)).map(|name| (name, *instead))
    })
}
