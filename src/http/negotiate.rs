//! Content negotiation by the `Accept`, `Accept-Encoding` and `If-None-Match` headers.
//!
//! Source: RFC 9110, sections 12.5.1, 12.5.3 and 13.1.2, and
//! <https://prometheus.io/docs/instrumenting/content_negotiation/>.

use hyper::{
    HeaderMap,
    header::{HeaderName, HeaderValue, IF_NONE_MATCH},
};

use crate::views::{Encoding, Format};

/// The format with the greatest weight; text where the client has no preference.
pub(super) fn format(accept: &str) -> Format {
    let weight = |wanted: fn(&Item<'_>) -> bool| items(accept).filter(wanted).map(|item| item.weight).max();
    let open_metrics = weight(|item| {
        item.name == "application/openmetrics-text"
            && item.parameter("version").is_none_or(|it| it == "1.0.0")
    });
    let text = weight(|item| matches!(item.name.as_str(), "text/plain" | "text/*" | "*/*"));
    if open_metrics.unwrap_or(0) > text.unwrap_or(0) { Format::OpenMetrics } else { Format::Text }
}

/// gzip where the client accepts it.
pub(super) fn encoding(accept_encoding: &str) -> Encoding {
    let weight = |name: &str| items(accept_encoding).find(|item| item.name == name).map(|item| item.weight);
    match weight("gzip").or_else(|| weight("*")) {
        Some(weight) if weight > 0 => Encoding::Gzip,
        _ => Encoding::Identity,
    }
}

/// Whether the `If-None-Match` header has this tag.
pub(super) fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let tag = opaque(tag.to_str().unwrap_or_default());
    header(headers, &IF_NONE_MATCH).split(',').any(|known| known.trim() == "*" || opaque(known) == tag)
}

/// A header's text; empty if the request lacks it.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// One item of a list with weights.
struct Item<'a> {
    name: String,
    parameters: Vec<(&'a str, &'a str)>,
    /// In thousandths.
    weight: u32,
}

impl Item<'_> {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }
}

fn items(header: &str) -> impl Iterator<Item = Item<'_>> {
    header.split(',').map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
        let quality = parameters.iter().find(|(key, _)| *key == "q").map_or("1", |(_, quality)| quality);
        Item { name, parameters, weight: thousandths(quality) }
    })
}

/// `0.5` as 500; 0 for what is not a weight.
fn thousandths(quality: &str) -> u32 {
    let (whole, fraction) = quality.split_once('.').unwrap_or((quality, ""));
    let fraction = format!("{fraction:0<3.3}");
    match (whole.parse::<u32>(), fraction.parse::<u32>()) {
        (Ok(whole), Ok(fraction)) => (whole.saturating_mul(1_000).saturating_add(fraction)).min(1_000),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrapers_get_the_format_that_they_prefer() {
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, expected) in [
            (prometheus_3, Format::OpenMetrics),
            ("text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;q=0.4", Format::Text),
            ("application/openmetrics-text; version=1.0.0", Format::OpenMetrics),
            ("application/openmetrics-text;version=0.0.1", Format::Text),
            ("application/openmetrics-text;version=1.0.0;q=0, text/plain;q=0", Format::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Text),
            ("", Format::Text),
            ("*/*", Format::Text),
        ] {
            assert_eq!(format(accept), expected, "{accept}");
        }
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for (accept, expected) in [
            ("gzip", Encoding::Gzip),
            ("deflate, gzip;q=0.5", Encoding::Gzip),
            ("*", Encoding::Gzip),
            ("gzip;q=0", Encoding::Identity),
            ("gzip;q=0.000, *", Encoding::Identity),
            ("gzip;q=x", Encoding::Identity),
            ("br", Encoding::Identity),
            ("", Encoding::Identity),
        ] {
            assert_eq!(encoding(accept), expected, "{accept}");
        }
    }
}
