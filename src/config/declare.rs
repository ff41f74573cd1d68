//! How a section's keys and a key's words are declared, each once: [`section!`] and [`choice!`].

/// A section of the configuration, a key a row. It makes the `struct`, what reads it, what shows it, and a
/// [`Key`](super::Key) for each row.
///
/// ```text
/// section! {
///     /// What the section is about.
///     pub struct Poll(is_billed: bool) {           // what its defaults depend on, if anything
///         /// What the key does: help, reference and schema have this text.
///         interval: Duration [SECOND..=DAY]        // the type, and its bounds if it has any
///             = if is_billed { MINUTE } else { 15 * SECOND }, // the default; it may use the keys above
///             variable "STREAMWARDEN_POLL_INTERVAL", flag "--poll-interval" "DURATION" of SERVING;
///     }
///     check |it, section| { ... }                  // notes what no single key shows
/// }
/// ```
///
/// A row without a default is a section of its own; in brackets is what its defaults depend on. `required "HINT"` in place
/// of a default makes a key required. `name as "key"` gives a field another name than its key. Fields in `derived { ... }` at the
/// end are no keys: they follow from the keys above.
macro_rules! section {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident $(($argument:ident: $of:ty))? {
            $(
                $(#[doc = $text:literal])+
                $field:ident $(as $key:literal)?: $type:ty
                    $([$bounds:expr])? $(= $default:expr)? $(, required $hint:literal)?
                    $(, variable $variable:literal)? $(, flag $flag:literal $value:literal of $commands:expr)?;
            )+
            $(derived {$(
                $(#[doc = $meaning:literal])+
                $derived:ident: $of_derived:ty = $derivation:expr;
            )+})?
        }
        $(check $check:expr)?
    ) => {
        $(#[$attribute])*
        $visibility struct $name {
            $($(#[doc = $text])+ pub $field: $type,)+
            $($($(#[doc = $meaning])+ pub $derived: $of_derived,)+)?
        }

        impl $crate::config::setting::Group for $name {
            type Bounds = section!(@type $($of)?);

            fn read_keys(section: &mut $crate::config::section::Section<'_>, arguments: &Self::Bounds) -> Self {
                let section!(@pattern $($argument)?) = *arguments;
                $(
                    let bounds: <$type as $crate::config::setting::Setting>::Bounds = section!(@value $($bounds)?);
                    let key = section!(@key $field $($key)?);
                    let $field = section!(@read $type, section, key, &bounds $(, default $default)? $(, required $hint)?);
                    $crate::config::setting::record::<$type>(section, key, &bounds, &$field, $crate::config::key::About {
                        text: concat!($($text),+),
                        required: section!(@option $($hint)?),
                        variable: section!(@option $($variable)?),
                        flag: section!(@option $($crate::config::key::Flag {
                            name: $flag,
                            value: $value,
                            commands: $commands,
                        })?),
                    });
                )+
                $($(let $derived = $derivation;)+)?
                let read = Self { $($field),+ $(, $($derived),+)? };
                $(
                    let check: fn(&Self, &mut $crate::config::section::Section<'_>) = $check;
                    check(&read, section);
                )?
                read
            }

            fn show_keys(&self) -> $crate::config::setting::Shown {
                $crate::config::setting::Shown::Map(vec![
                    $((section!(@key $field $($key)?), $crate::config::setting::Setting::show(&self.$field))),+
                ])
            }
        }
    };
    (@type) => { () };
    (@type $of:ty) => { $of };
    (@pattern) => { () };
    (@pattern $argument:ident) => { $argument };
    (@value) => { () };
    (@value $value:expr) => { $value };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    (@option) => { None };
    (@option $some:expr) => { Some($some) };
    (@read $type:ty, $section:ident, $key:ident, $bounds:expr) => {
        <$type as $crate::config::setting::Group>::read_or_empty($section, $key, $bounds)
    };
    (@read $type:ty, $section:ident, $key:ident, $bounds:expr, default $default:expr) => {
        match <$type as $crate::config::setting::Setting>::read($section, $key, $bounds) {
            Some(value) => value,
            None => $default,
        }
    };
    (@read $type:ty, $section:ident, $key:ident, $bounds:expr, required $hint:literal) => {
        match <$type as $crate::config::setting::Setting>::read($section, $key, $bounds) {
            Some(value) => value,
            None => $section.missing($key, $hint),
        }
    };
}

/// The words that a key's value can be, each with its meaning.
macro_rules! choice {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $name:ident {
            $($(#[doc = $text:literal])+ $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $visibility enum $name {
            $($(#[doc = $text])+ $variant,)+
        }

        impl $name {
            /// Each with its word.
            pub(crate) const CHOICES: &[(&str, Self)] = &[$(($word, Self::$variant)),+];

            /// The word for it.
            #[must_use]
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl $crate::config::setting::Setting for $name {
            type Bounds = ();

            fn read(section: &mut $crate::config::section::Section<'_>, key: &'static str, (): &()) -> Option<Self> {
                section.choice(key, Self::CHOICES)
            }

            fn show(&self) -> $crate::config::setting::Shown {
                $crate::config::setting::Shown::Word(self.as_str().to_owned())
            }

            fn describe((): &()) -> (String, serde_json::Value) {
                let words = [$($word),+].map(|word| serde_json::Value::from($crate::config::setting::Shown::Word(word.to_owned())));
                (format!("one of: {}", [$($word),+].join(", ")), serde_json::json!({"enum": words}))
            }
        }
    };
}

pub(super) use {choice, section};
