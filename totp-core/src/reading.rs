//! From TOML to the types of a record and of the configuration. The library parses; what it would do besides (a second form
//! of every type, for values it might find anywhere) is a sixth of the module's size, so that walking its tree is done here.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use core::fmt;
use core::ops::Range;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Error as _, IntoDeserializer as _, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Reads a whole document.
pub(crate) fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    let document = DeTable::parse(text)
        .map_err(|error| Error { message: String::from(error.message()), span: error.span() })?;
    T::deserialize(Document(document.get_ref()))
}

/// What is wrong with a document, and where.
#[derive(Clone, Debug)]
pub(crate) struct Error {
    message: String,
    span: Option<Range<usize>>,
}

impl Error {
    /// What is wrong. May repeat a value.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Where, in bytes.
    pub(crate) fn span(&self) -> Option<Range<usize>> {
        self.span.clone()
    }

    fn at(mut self, span: Range<usize>) -> Self {
        self.span.get_or_insert(span);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), span: None }
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("invalid type: {}, expected {expected}", Shown(unexpected)))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("invalid value: {}, expected {expected}", Shown(unexpected)))
    }
}

/// A value as serde shows it, but for fractions: a hundredth of the module could do nothing but print those.
struct Shown<'a>(Unexpected<'a>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Unexpected::Str(text) => write!(f, "string {text:?}"),
            Unexpected::Bool(value) => write!(f, "boolean `{value}`"),
            Unexpected::Signed(number) => write!(f, "integer `{number}`"),
            Unexpected::Unsigned(number) => write!(f, "integer `{number}`"),
            Unexpected::Seq => f.write_str("sequence"),
            Unexpected::Map => f.write_str("map"),
            Unexpected::Float(_) => f.write_str("floating point number"),
            Unexpected::Other(what) => f.write_str(what),
            _ => f.write_str("another kind of value"),
        }
    }
}

type Table<'a> = &'a DeTable<'a>;

/// The document, which is a table.
struct Document<'a>(Table<'a>);

impl<'de> de::Deserializer<'de> for Document<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(Entries::of(self.0))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The entries of a table, one after the other.
struct Entries<'a> {
    rest: toml::map::Iter<'a, Spanned<Cow<'a, str>>, Spanned<DeValue<'a>>>,
    value: Option<&'a Spanned<DeValue<'a>>>,
}

impl<'a> Entries<'a> {
    fn of(table: Table<'a>) -> Self {
        Self { rest: table.iter(), value: None }
    }
}

impl<'a> de::MapAccess<'a> for Entries<'a> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'a>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some(value);
        let name: StrDeserializer<'_, Error> = key.get_ref().as_ref().into_deserializer();
        seed.deserialize(name).map(Some).map_err(|error| error.at(key.span()))
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let value = self.value.take().ok_or_else(|| Error::custom("a value without a key"))?;
        element(seed, value)
    }
}

/// The elements of an array, one after the other.
struct Elements<'a>(core::slice::Iter<'a, Spanned<DeValue<'a>>>);

impl<'a> de::SeqAccess<'a> for Elements<'a> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'a>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        self.0.next().map(|value| element(seed, value)).transpose()
    }
}

fn element<'a, T: DeserializeSeed<'a>>(
    seed: T,
    value: &'a Spanned<DeValue<'a>>,
) -> Result<T::Value, Error> {
    seed.deserialize(Value(value.get_ref())).map_err(|error| error.at(value.span()))
}

/// A value below the document. Each kind is asked for by what it is: nothing here is guessed, apart from
/// `deserialize_any` for the one key that has two forms.
struct Value<'a>(&'a DeValue<'a>);

impl Value<'_> {
    fn integer(&self) -> Option<i64> {
        let integer = self.0.as_integer()?;
        i64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    fn float(&self) -> Option<f64> {
        decimal(self.0.as_float()?.as_str())
    }

    /// In serde's words.
    fn is_not(&self, expected: &dyn de::Expected) -> Error {
        let unexpected = match self.0 {
            DeValue::String(text) => Unexpected::Str(text),
            DeValue::Boolean(value) => Unexpected::Bool(*value),
            DeValue::Array(_) => Unexpected::Seq,
            DeValue::Table(_) => Unexpected::Map,
            DeValue::Datetime(_) => Unexpected::Other("date"),
            DeValue::Float(_) => Unexpected::Other("floating point number"),
            DeValue::Integer(_) => match self.integer() {
                Some(integer) => Unexpected::Signed(integer),
                None => Unexpected::Other("integer of more than 64 bits"),
            },
        };
        Error::invalid_type(unexpected, expected)
    }
}

/// A decimal fraction such as `0.001` or `1e-3`, to fifteen digits, which is exact then; more are cut off. The library's
/// way, which is exact for every number there is, brings a fiftieth of the module along.
fn decimal(text: &str) -> Option<f64> {
    const DIGITS: u64 = 1_000_000_000_000_000;
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let mut exponent: i32 = exponent.parse().ok()?;
    let (mut digits, mut behind_the_point) = (0_u64, false);
    let positive = number.strip_prefix('-').is_none();
    for letter in number.bytes().skip_while(|letter| matches!(letter, b'+' | b'-')) {
        match letter {
            b'.' if !behind_the_point => behind_the_point = true,
            b'0'..=b'9' if digits < DIGITS / 10 => {
                digits = digits.checked_mul(10)?.checked_add(u64::from(letter & 0x0f))?;
                exponent = exponent.checked_sub(i32::from(behind_the_point))?;
            }
            b'0'..=b'9' => exponent = exponent.checked_add(i32::from(!behind_the_point))?,
            _ => return None,
        }
    }
    let mut power = 1.0_f64;
    for _ in 0..exponent.unsigned_abs().min(400) {
        power *= 10.0;
    }
    #[allow(clippy::cast_precision_loss)] // below 2^53
    let digits = if positive { digits as f64 } else { -(digits as f64) };
    Some(if exponent < 0 { digits / power } else { digits * power })
}

impl<'de> de::Deserializer<'de> for Value<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            DeValue::Array(_) => self.deserialize_seq(visitor),
            DeValue::Table(_) => self.deserialize_map(visitor),
            _ => self.deserialize_str(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.as_str() {
            Some(text) => visitor.visit_str(text),
            None => Err(self.is_not(&visitor)),
        }
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.integer() {
            Some(integer) => visitor.visit_i64(integer),
            None => Err(self.is_not(&visitor)),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match (self.float(), self.integer()) {
            (Some(float), _) => visitor.visit_f64(float),
            (None, Some(integer)) => visitor.visit_i64(integer),
            (None, None) => Err(self.is_not(&visitor)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.as_bool() {
            Some(value) => visitor.visit_bool(value),
            None => Err(self.is_not(&visitor)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            DeValue::Array(elements) => visitor.visit_seq(Elements(elements.iter())),
            _ => Err(self.is_not(&visitor)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            DeValue::Table(table) => visitor.visit_map(Entries::of(table)),
            _ => Err(self.is_not(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    /// A key that is there has a value.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// A word out of several.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0.as_str() {
            Some(word) => {
                let word: StrDeserializer<'_, Error> = word.into_deserializer();
                visitor.visit_enum(word)
            }
            None => Err(self.is_not(&visitor)),
        }
    }

    /// The one thing here that is asked for by no other name: a date, as it stands in the document.
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0.as_datetime() {
            Some(date) => visitor.visit_str(&date.to_string()),
            None => Err(self.is_not(&visitor)),
        }
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u128 f32 char bytes byte_buf unit tuple tuple_struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    /// Every kind of value that a record or the configuration has.
    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Everything {
        number: u64,
        signed: i64,
        small: u32,
        chance: f64,
        word: Option<Word>,
        text: String,
        yes: bool,
        list: Vec<String>,
        inner: Inner,
        many: Vec<Inner>,
        named: BTreeMap<String, Inner>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        One,
        Two,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        needed: i64,
        #[serde(default)]
        text: Option<String>,
    }

    /// What the library itself makes of a document, and what is made of it here: both or neither.
    fn both(text: &str) -> Option<Everything> {
        let (theirs, ours) = (toml::from_str::<Everything>(text).ok(), from_str(text).ok());
        assert_eq!(theirs, ours, "{text}");
        ours
    }

    #[test]
    fn every_kind_of_value_is_read_as_the_library_reads_it() {
        let text = "number = 0x10\nsigned = -3\nsmall = 1_000\nchance = 1e-3\nword = \"two\"\n\
                    text = 'a\\b'\nyes = true\nlist = [\"a\", '''b\n''', \"\"\"\\\n c\"\"\"]\n\
                    inner = { needed = 1 }\nnamed.\"x y\" = { needed = 2, text = \"\\u00e9\" }\n\
                    [named.sudo]\nneeded = 3\n[[many]]\nneeded = 4\n[[many]]\nneeded = 5\n";
        let all = both(text).unwrap();
        assert_eq!((all.number, all.signed, all.small), (16, -3, 1000));
        assert_eq!((all.many.len(), all.named.len(), all.word), (2, 2, Some(Word::Two)));
        assert_eq!(both("chance = 1").unwrap().chance.to_bits(), 1.0_f64.to_bits());
    }

    #[test]
    fn a_fraction_of_more_digits_than_count_is_cut_off() {
        let chance = from_str::<Everything>("chance = 0.001000000000000000009").unwrap().chance;
        assert_eq!(chance.to_bits(), 0.001_f64.to_bits());
        for none in ["inf", "-nan"] {
            assert!(from_str::<Everything>(&alloc::format!("chance = {none}")).is_err());
        }
    }

    #[test]
    fn what_the_library_refuses_is_refused() {
        for text in [
            "number = -1",
            "number = \"1\"",
            "number = 1.0",
            "small = 4294967296",
            "number = 99999999999999999999",
            "chance = \"1\"",
            "word = \"three\"",
            "word = 1",
            "text = 1",
            "text = 2027-01-31",
            "text = [\"a\"]",
            "yes = 1",
            "list = \"a\"",
            "list = [1]",
            "inner = {}",
            "inner = 1",
            "inner = { needed = 1, more = 2 }",
            "many = { needed = 1 }",
            "named = [1]",
            "noise = 1",
            "number = 1\nnumber = 2",
            "number = 1\n[number]",
            "number",
            "= 1",
        ] {
            assert!(both(text).is_none(), "{text}");
        }
    }

    #[test]
    fn an_error_has_the_place_of_what_is_wrong() {
        let place = |text: &str| {
            let error = from_str::<Everything>(text).unwrap_err();
            error.span().map(|span| text[span].to_string()).unwrap()
        };
        assert_eq!(place("number = 1\nnoise = 2\n"), "noise");
        assert_eq!(place("list = ['a', 7]"), "7");
        assert_eq!(place("[named.x]\nneeded = 'y'"), "'y'");
        assert_eq!(place("word = \"three\""), "\"three\"");
    }

    proptest! {
        #[test]
        fn a_fraction_is_read_as_the_library_reads_it(
            number in "[-+]?(0|[1-9][0-9]{0,6})(\\.[0-9]{1,8})?(e[-+]?[0-9]{1,2})?", zeros in 0..9usize
        ) {
            let number = number.replace('.', &alloc::format!(".{}", "0".repeat(zeros)));
            let exponent: i32 = number.split_once('e').map_or(0, |(_, e)| e.parse().unwrap());
            prop_assume!(exponent.abs() <= 6); // powers of ten that are exact
            prop_assume!(number.contains(['.', 'e']));
            let digits: String = number.split('e').take(1).flat_map(str::chars).filter(char::is_ascii_digit).collect();
            prop_assume!(digits.trim_start_matches('0').len() <= 15);
            let _ = both(&alloc::format!("chance = {number}"));
        }

        #[test]
        fn any_document_is_read_as_the_library_reads_it(
            text in "((number|signed|chance|word|text|yes|list|inner|many|named|\\[inner\\]|\\[\\[many\\]\\]|needed)\
                     ( = (-?[0-9]{1,20}|[0-9]\\.[0-9]|\"one\"|\"[a-z]\"|true|\\[\\]|\\['a'\\]|\\{ needed = 1 \\}|2027-01-31))?\n){0,4}"
        ) {
            let _ = both(&text);
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,80}") {
            let _ = both(&text);
        }
    }
}
