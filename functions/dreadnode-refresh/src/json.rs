//! JSON (RFC 8259) as Python's `json` reads it, because the product's 422 tells where Python would have stopped. What
//! is read is what this endpoint looks at: objects, texts and nulls; of other values, only that they are well-formed.
//!
//! Positions count characters from 0, as those of `json.JSONDecodeError` do up to Python 3.12 (later ones put a
//! trailing comma's at the comma). Python's own additions (`NaN`, `Infinity`) are values here too.

use std::collections::BTreeMap;

/// How deep values may lie within one another. The endpoint's own lie one deep.
const DEPTH_MAX: u32 = 64;
/// As Python skips it.
const WHITESPACE: [char; 4] = [' ', '\t', '\n', '\r'];
const LITERALS: [&str; 6] = ["null", "true", "false", "NaN", "Infinity", "-Infinity"];

/// A value, as far as this endpoint looks at it.
#[derive(Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// A text. A surrogate becomes U+FFFD: no text that this endpoint knows has one.
    Text(String),
    /// An object; of a name that is given twice, the last.
    Object(BTreeMap<String, Json>),
    /// A number, a truth value or an array.
    Other,
}

/// A text may be a token, so that none is ever shown.
impl std::fmt::Debug for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Text(_) => "Text(…)",
            Self::Object(_) => "Object(…)",
            Self::Other => "Other",
        })
    }
}

/// Why a text is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// It breaks off, or goes on in a way that it may not.
    Broken {
        /// The character at which Python says so.
        at: usize,
    },
    /// Its values lie deeper within one another than anything that is meant.
    TooDeep,
}

/// Reads a whole text.
///
/// # Errors
/// [`JsonError`] where it is not one JSON value.
pub fn read(text: &str) -> Result<Json, JsonError> {
    let chars: Vec<char> = text.chars().collect();
    let mut reader = Reader { chars: &chars, at: 0 };
    reader.skip_whitespace();
    let value = reader.value(DEPTH_MAX)?;
    reader.skip_whitespace();
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.broken()),
    }
}

struct Reader<'a> {
    chars: &'a [char],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.ahead(0)
    }

    fn ahead(&self, by: usize) -> Option<char> {
        self.chars.get(self.at + by).copied()
    }

    const fn broken(&self) -> JsonError {
        JsonError::Broken { at: self.at }
    }

    fn skip_while(&mut self, skipped: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&skipped) {
            self.at += 1;
        }
    }

    fn skip_whitespace(&mut self) {
        self.skip_while(|c| WHITESPACE.contains(&c));
    }

    /// Goes past `wanted`, if it stands here.
    fn take(&mut self, wanted: char) -> bool {
        let taken = self.peek() == Some(wanted);
        self.at += usize::from(taken);
        taken
    }

    fn value(&mut self, depth: u32) -> Result<Json, JsonError> {
        match self.peek() {
            Some('"') => Ok(Json::Text(self.text()?)),
            Some('{') => self.object(depth.checked_sub(1).ok_or(JsonError::TooDeep)?),
            Some('[') => self.array(depth.checked_sub(1).ok_or(JsonError::TooDeep)?),
            Some(_) => self.literal().or_else(|| self.number()).ok_or_else(|| self.broken()),
            None => Err(self.broken()),
        }
    }

    fn object(&mut self, depth: u32) -> Result<Json, JsonError> {
        let mut fields = BTreeMap::new();
        self.at += 1;
        self.skip_whitespace();
        if self.take('}') {
            return Ok(Json::Object(fields));
        }
        loop {
            if self.peek() != Some('"') {
                return Err(self.broken());
            }
            let name = self.text()?;
            self.skip_whitespace();
            if !self.take(':') {
                return Err(self.broken());
            }
            self.skip_whitespace();
            fields.insert(name, self.value(depth)?);
            self.skip_whitespace();
            if self.take('}') {
                return Ok(Json::Object(fields));
            }
            if !self.take(',') {
                return Err(self.broken());
            }
            self.skip_whitespace();
        }
    }

    fn array(&mut self, depth: u32) -> Result<Json, JsonError> {
        self.at += 1;
        self.skip_whitespace();
        if self.take(']') {
            return Ok(Json::Other);
        }
        loop {
            self.value(depth)?;
            self.skip_whitespace();
            if self.take(']') {
                return Ok(Json::Other);
            }
            if !self.take(',') {
                return Err(self.broken());
            }
            self.skip_whitespace();
        }
    }

    fn literal(&mut self) -> Option<Json> {
        let stands = |literal: &&&str| literal.chars().enumerate().all(|(n, c)| self.ahead(n) == Some(c));
        let literal = LITERALS.iter().find(stands)?;
        self.at += literal.len();
        Some(if *literal == "null" { Json::Null } else { Json::Other })
    }

    /// Python takes the longest number that stands here, and stumbles over what is left of a longer one.
    fn number(&mut self) -> Option<Json> {
        let digit_ahead = |reader: &Self, by| reader.ahead(by).is_some_and(|c| c.is_ascii_digit());
        let sign = usize::from(self.peek() == Some('-'));
        if !digit_ahead(self, sign) {
            return None;
        }
        self.at += sign;
        if !self.take('0') {
            self.skip_while(|c| c.is_ascii_digit());
        }
        if self.peek() == Some('.') && digit_ahead(self, 1) {
            self.at += 1;
            self.skip_while(|c| c.is_ascii_digit());
        }
        let sign = usize::from(matches!(self.ahead(1), Some('+' | '-')));
        if matches!(self.peek(), Some('e' | 'E')) && digit_ahead(self, 1 + sign) {
            self.at += 1 + sign;
            self.skip_while(|c| c.is_ascii_digit());
        }
        Some(Json::Other)
    }

    fn text(&mut self) -> Result<String, JsonError> {
        let unterminated = self.broken();
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek().ok_or(unterminated)? {
                '"' => {
                    self.at += 1;
                    return Ok(text);
                }
                '\\' => text.push(self.escape(unterminated)?),
                '\0'..='\u{1f}' => return Err(self.broken()),
                plain => {
                    self.at += 1;
                    text.push(plain);
                }
            }
        }
    }

    fn escape(&mut self, unterminated: JsonError) -> Result<char, JsonError> {
        let escaped = match self.ahead(1).ok_or(unterminated)? {
            plain @ ('"' | '\\' | '/') => plain,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => return self.unicode_escape(),
            _ => return Err(self.broken()),
        };
        self.at += 2;
        Ok(escaped)
    }

    /// Four digits, after which Python wants at least one character more.
    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let broken = JsonError::Broken { at: self.at + 1 };
        let mut code = 0;
        for n in 2..6 {
            let digit = self.ahead(n).and_then(|c| c.to_digit(16)).ok_or(broken)?;
            code = code * 16 + digit;
        }
        self.ahead(6).ok_or(broken)?;
        self.at += 6;
        Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What CPython 3.11 says of each text: `json.JSONDecodeError.pos`.
    const BROKEN: [(&str, usize); 40] = [
        ("", 0),
        (" ", 1),
        (" \t\n\r ", 5),
        ("\u{a0}1", 0),
        ("not json", 0),
        ("nul", 0),
        ("{} x", 3),
        ("1 2", 2),
        ("01", 1),
        ("-", 0),
        ("-x", 0),
        ("-01", 2),
        ("+1", 0),
        ("1.", 1),
        (".5", 0),
        ("1.5.5", 3),
        ("1e", 1),
        ("1e+", 1),
        ("1e+5x", 4),
        ("{", 1),
        ("{ ", 2),
        ("{'a':1}", 1),
        ("{\"a\"", 4),
        ("{\"a\" 1}", 5),
        ("{\"refresh_token\":", 17),
        ("{\"a\": }", 6),
        ("{\"a\":1", 6),
        ("{\"a\":1 \"b\"}", 7),
        ("{\"a\":1,}", 7),
        ("[", 1),
        ("[1", 2),
        ("[1 2]", 3),
        ("[1,]", 3),
        ("{\"a\":\"b", 5),
        ("\"a\\", 0),
        ("\"é\\x\"", 2),
        ("\"a\nb\"", 2),
        ("\"\\u12G4\"", 2),
        ("\"\\u1234", 2),
        ("{\"é\":\"\u{1f600}\" x}", 9),
    ];

    #[test]
    fn a_broken_text_is_broken_where_python_says_so() {
        for (text, at) in BROKEN {
            assert_eq!(read(text), Err(JsonError::Broken { at }), "{text}");
        }
    }

    #[test]
    fn values_are_told_apart() {
        assert_eq!(read(" null\n"), Ok(Json::Null));
        assert_eq!(read("\"a\\u0062\\n\\ud800/\""), Ok(Json::Text("ab\n\u{fffd}/".to_owned())));
        let others =
            ["true", "false", "0", "-0", "10", "-1.5e-7", "1E9", "NaN", "Infinity", "-Infinity", "[]", "[1, {}]"];
        for text in others {
            assert_eq!(read(text), Ok(Json::Other), "{text}");
        }
        let object = BTreeMap::from([("a".to_owned(), Json::Text("2".to_owned())), ("b".to_owned(), Json::Null)]);
        assert_eq!(read("{\"a\": 1, \"b\" :null, \"\\u0061\":\"2\"}"), Ok(Json::Object(object)));
        assert_eq!(read("{ }"), Ok(Json::Object(BTreeMap::new())));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(read(&nested(64)), Ok(Json::Other));
        assert_eq!(read(&nested(65)), Err(JsonError::TooDeep));
        assert_eq!(read(&"{\"a\":".repeat(10_000)), Err(JsonError::TooDeep));
    }

    #[test]
    fn a_text_is_not_shown_by_debug() {
        assert!(!format!("{:?}", read("{\"a\":\"secret\"}")).contains("secret"));
        assert!(!format!("{:?}", read("\"secret\"")).contains("secret"));
    }
}
