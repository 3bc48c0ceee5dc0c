//! One declaration per configuration section: fields, defaults, documentation and a setter by key.
//!
//! `--config`, `.env`, the environment and `--set` all end in [`Section::set`], so a key has one name, one type and
//! one error message wherever it comes from, and every mistake can be reported together.

/// A key of a section, for help texts and "did you mean".
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Name as written in TOML.
    pub name: &'static str,
    /// What it does, with units.
    pub doc: &'static str,
}

/// A `[table]` of the configuration.
pub trait Section {
    /// The table's name.
    fn table(&self) -> &'static str;
    /// Its keys, in the order of declaration.
    fn keys(&self) -> &'static [Key];
    /// Sets one key, which must be one of [`Self::keys`], from a TOML value.
    ///
    /// # Errors
    /// What was expected instead, when the value has another type.
    fn set(&mut self, key: &str, value: toml::Value) -> Result<(), String>;
    /// Sets one key, which must be one of [`Self::keys`], back to its default.
    fn reset(&mut self, key: &str);
}

macro_rules! section {
    ($(#[doc = $doc:literal])* $name:ident in $table:literal { $( $(#[doc = $field_doc:literal])+ $field:ident : $ty:ty = $default:expr ),* $(,)? }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        pub struct $name { $( $(#[doc = $field_doc])+ pub $field: $ty, )* }

        impl Default for $name {
            fn default() -> Self { Self { $( $field: $default, )* } }
        }

        impl $crate::config::section::Section for $name {
            fn table(&self) -> &'static str { $table }

            fn keys(&self) -> &'static [$crate::config::section::Key] {
                &[ $( $crate::config::section::Key { name: stringify!($field), doc: concat!($($field_doc),+) }, )* ]
            }

            fn set(&mut self, key: &str, value: toml::Value) -> Result<(), String> {
                match key {
                    $( stringify!($field) => {
                        self.$field = value.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
                        Ok(())
                    } )*
                    _ => Err(format!("unknown key `{key}`")),
                }
            }

            fn reset(&mut self, key: &str) {
                match key {
                    $( stringify!($field) => self.$field = $default, )*
                    _ => {}
                }
            }
        }
    };
}
pub(crate) use section;
