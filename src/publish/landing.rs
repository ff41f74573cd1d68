//! The page at `/`: what this is and where to look. It holds nothing that came from Redis.

use crate::config::Config;

/// The landing page as HTML.
#[must_use]
pub fn landing_page(config: &Config) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let state = if config.enabled {
        format!("It polls Redis every {}.", humantime::format_duration(config.poll.interval))
    } else {
        "It is switched off (enabled: false) and touches no Redis.".to_owned()
    };
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Streamwarden</title>
</head>
<body>
<h1>Streamwarden {version}</h1>
<p>Watches Redis Streams. {state}</p>
<ul>
<li><a href="/metrics">/metrics</a>: what it saw, for Prometheus</li>
<li><a href="/livez">/livez</a>: whether its loop turns</li>
<li><a href="/readyz">/readyz</a>: whether it has looked at Redis once; <a href="/readyz?strict=1">strict</a>: whether it could read it lately</li>
</ul>
</body>
</html>
"#
    )
}
