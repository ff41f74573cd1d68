//! Percent-decoding that refuses what is not an escape: `%zz` is a typing error, and no key that anybody meant.

use percent_encoding::percent_decode_str;

/// The bytes of a percent-encoded text; `None` if a `%` is not followed by two hexadecimal digits.
#[must_use]
pub fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let is_escape =
        |after: &str| after.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    text.split('%').skip(1).all(is_escape).then(|| percent_decode_str(text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_an_escape_is_refused() {
        for (text, bytes) in [
            ("", Some(&b""[..])),
            ("a%2Fb%ff", Some(b"a/b\xff")),
            ("%25zz", Some(b"%zz")),
            ("%zz", None),
            ("a%", None),
            ("a%2", None),
            ("%2g", None),
            ("%é", None),
        ] {
            assert_eq!(percent_decoded(text).as_deref(), bytes, "{text}");
        }
    }
}
