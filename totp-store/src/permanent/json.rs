//! Reading a line of the permanent record: a JSON object (RFC 8259). By hand, since the module, which every login loads, reads
//! lines too, and a parser for all of JSON takes more room there than all that is read with it.

/// So deep objects and arrays stand inside each other at most: ours are two deep.
const DEEPEST: u8 = 8;

/// A value, as far as the record has such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Json {
    Text(String),
    Number(u64),
    Object(Vec<(String, Json)>),
    /// Null, and whatever a later version may write: arrays, true and false, other numbers.
    Other,
}

impl Json {
    /// The value that all of `text` is.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = Rest(text.as_bytes());
        let value = rest.value(DEEPEST)?;
        rest.space();
        rest.0.is_empty().then_some(value)
    }

    /// What stands under `key`; of several the last.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Object(entries) = self else { return None };
        entries.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The number, if it is one.
    pub(super) fn number(&self) -> Option<u64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }
}

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn space(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.0 {
            self.0 = rest;
        }
    }

    fn take(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Whether `byte` comes next, behind space; then it is taken.
    fn is(&mut self, byte: u8) -> bool {
        self.space();
        let there = self.0.first() == Some(&byte);
        if there {
            self.take();
        }
        there
    }

    fn word(&mut self, word: &str) -> Option<Json> {
        self.0 = self.0.strip_prefix(word.as_bytes())?;
        Some(Json::Other)
    }

    fn value(&mut self, depth: u8) -> Option<Json> {
        self.space();
        match self.0.first()? {
            b'"' => self.text().map(Json::Text),
            b'{' => self.object(depth.checked_sub(1)?),
            b'[' => self.array(depth.checked_sub(1)?),
            b'n' => self.word("null"),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: u8) -> Option<Json> {
        self.take()?;
        let mut entries = Vec::new();
        if self.is(b'}') {
            return Some(Json::Object(entries));
        }
        loop {
            self.space();
            let key = self.text()?;
            if !self.is(b':') {
                return None;
            }
            entries.push((key, self.value(depth)?));
            if self.is(b'}') {
                return Some(Json::Object(entries));
            }
            if !self.is(b',') {
                return None;
            }
        }
    }

    fn array(&mut self, depth: u8) -> Option<Json> {
        self.take()?;
        if self.is(b']') {
            return Some(Json::Other);
        }
        loop {
            self.value(depth)?;
            if self.is(b']') {
                return Some(Json::Other);
            }
            if !self.is(b',') {
                return None;
            }
        }
    }

    fn number(&mut self) -> Option<Json> {
        let part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        let end = self.0.iter().position(|byte| !part(byte)).unwrap_or(self.0.len());
        let (number, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        let (sign, digits) = match number {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        // At least one digit, and no zero in front of others.
        match digits {
            [b'0', second, ..] if second.is_ascii_digit() => return None,
            [first, ..] if first.is_ascii_digit() => {}
            _ => return None,
        }
        let whole = str::from_utf8(digits).ok()?.parse().ok();
        Some(whole.filter(|_| !sign).map_or(Json::Other, Json::Number))
    }

    fn text(&mut self) -> Option<String> {
        if self.take()? != b'"' {
            return None;
        }
        let mut bytes = Vec::new();
        loop {
            match self.take()? {
                b'"' => return String::from_utf8(bytes).ok(),
                b'\\' => {
                    let mut buffer = [0; 4];
                    bytes.extend_from_slice(self.escaped()?.encode_utf8(&mut buffer).as_bytes());
                }
                0..=0x1f => return None,
                byte => bytes.push(byte),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        Some(match self.take()? {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.unit()?;
                // UTF-16: a character beyond the first 65,536 takes two units.
                let pair = if (0xd800..0xdc00).contains(&first) {
                    if (self.take()?, self.take()?) != (b'\\', b'u') {
                        return None;
                    }
                    vec![first, self.unit()?]
                } else {
                    vec![first]
                };
                return char::decode_utf16(pair).next()?.ok();
            }
            byte @ (b'"' | b'\\' | b'/') => char::from(byte),
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u16> {
        let (digits, rest) = self.0.split_at_checked(4)?;
        self.0 = rest;
        digits.iter().try_fold(0u16, |unit, digit| {
            let digit = char::from(*digit).to_digit(16)?;
            unit.checked_mul(16)?.checked_add(u16::try_from(digit).ok()?)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// What an implementation that is not ours makes of it.
    fn theirs(value: &Value) -> Json {
        match value {
            Value::String(text) => Json::Text(text.clone()),
            Value::Number(number) => number.as_u64().map_or(Json::Other, Json::Number),
            Value::Object(entries) => {
                let entries = entries.iter().map(|(key, value)| (key.clone(), theirs(value)));
                Json::Object(entries.collect())
            }
            Value::Null | Value::Bool(_) | Value::Array(_) => Json::Other,
        }
    }

    #[test]
    fn what_is_json_is_read_as_others_read_it_and_what_is_not_is_refused() {
        for text in [
            r#"{"a":1,"b":"x","c":null,"d":{"e":true,"f":[1,"y",{"g":[]}]}}"#,
            r#" { "a" : 18446744073709551615 , "b" : -1 } "#,
            r#"{"a":18446744073709551616,"b":1.5,"c":1e3,"d":0}"#,
            r#"{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é😀"}"#,
            "{}",
            r#""alone""#,
            "7",
            "",
            "{",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{"a":1}}"#,
            r#"{a:1}"#,
            r#"{"a":01}"#,
            r#"{"a":+1}"#,
            r#"{"a":-}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"\u12"}"#,
            r#"{"a":"\ud83d"}"#,
            r#"{"a":"\ud83dx"}"#,
            r#"{"a":"\udc00"}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":nul}"#,
            r#"{"a":[1,]}"#,
            r#"{"a":"x"#,
        ] {
            let expected = serde_json::from_str::<Value>(text).ok();
            assert_eq!(Json::parse(text), expected.as_ref().map(theirs), "{text}");
        }
    }

    #[test]
    fn of_two_values_the_last_counts() {
        let value = Json::parse(r#"{"a":1,"a":2}"#).unwrap();
        assert_eq!(value.get("a").and_then(Json::number), Some(2));
    }

    #[test]
    fn what_is_nested_too_deep_is_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Json::parse(&nested(8)).is_some());
        assert!(Json::parse(&nested(9)).is_none() && Json::parse(&nested(100_000)).is_none());
    }
}
