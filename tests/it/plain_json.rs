//! A second reader of JSON, slow and plain: RFC 8259's grammar over bytes and nothing more. Texts
//! are taken apart as far as names have to be compared.

/// A value; members keep their order and their repeats.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Object(Vec<(Vec<u8>, Json)>),
    Array(Vec<Json>),
    /// Unescaped; half of a surrogate pair as the bytes it would have.
    Text(Vec<u8>),
    /// As the source wrote it.
    Number(String),
    Word(&'static str),
}

impl Json {
    /// The members of an object with this name.
    pub(crate) fn named(&self, name: &str) -> Vec<&Json> {
        let Self::Object(members) = self else { return Vec::new() };
        let is_it = |(key, value)| (key == name.as_bytes()).then_some(value);
        members.iter().map(|(key, value)| (&key[..], value)).filter_map(is_it).collect()
    }
}

/// Reads a whole text; none if it is not complete JSON.
pub(crate) fn parse(text: &[u8]) -> Option<Json> {
    let mut reader = Reader { rest: text };
    let value = reader.value()?;
    reader.space();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn value(&mut self) -> Option<Json> {
        self.space();
        match self.rest.first()? {
            b'{' => self.object(),
            b'[' => self.array(),
            b'"' => self.text().map(Json::Text),
            b'-' | b'0'..=b'9' => self.number(),
            _ => ["true", "false", "null"]
                .into_iter()
                .find(|word| self.takes(word.as_bytes()))
                .map(Json::Word),
        }
    }

    fn object(&mut self) -> Option<Json> {
        let mut members = Vec::new();
        self.rest = &self.rest[1..];
        self.space();
        if self.takes(b"}") {
            return Some(Json::Object(members));
        }
        loop {
            self.space();
            let name = self.text()?;
            self.space();
            self.takes(b":").then_some(())?;
            members.push((name, self.value()?));
            self.space();
            if self.takes(b"}") {
                return Some(Json::Object(members));
            }
            self.takes(b",").then_some(())?;
        }
    }

    fn array(&mut self) -> Option<Json> {
        let mut elements = Vec::new();
        self.rest = &self.rest[1..];
        self.space();
        if self.takes(b"]") {
            return Some(Json::Array(elements));
        }
        loop {
            elements.push(self.value()?);
            self.space();
            if self.takes(b"]") {
                return Some(Json::Array(elements));
            }
            self.takes(b",").then_some(())?;
        }
    }

    fn text(&mut self) -> Option<Vec<u8>> {
        self.takes(b"\"").then_some(())?;
        let mut text = Vec::new();
        loop {
            let byte = self.byte()?;
            match byte {
                b'"' => return Some(text),
                b'\\' => self.escape(&mut text)?,
                0..0x20 => return None,
                _ => text.push(byte),
            }
        }
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Option<()> {
        let plain = match self.byte()? {
            same @ (b'"' | b'\\' | b'/') => same,
            b'b' => 8,
            b'f' => 12,
            b'n' => 10,
            b'r' => 13,
            b't' => 9,
            b'u' => {
                let mut code = self.hex()?;
                if (0xD800..0xDC00).contains(&code) && self.rest.starts_with(b"\\u") {
                    let before = self.rest;
                    self.rest = &self.rest[2..];
                    match self.hex()? {
                        low @ 0xDC00..0xE000 => {
                            code = 0x10000 + (code - 0xD800) * 0x400 + (low - 0xDC00);
                        }
                        _ => self.rest = before,
                    }
                }
                match char::from_u32(code) {
                    Some(character) => text.extend(character.to_string().bytes()),
                    None => text.extend(format!("\u{FFFD}{code:x}").bytes()),
                }
                return Some(());
            }
            _ => return None,
        };
        text.push(plain);
        Some(())
    }

    fn hex(&mut self) -> Option<u32> {
        let (digits, rest) = self.rest.split_at_checked(4)?;
        self.rest = rest;
        let digits = digits.iter().all(u8::is_ascii_hexdigit).then_some(digits)?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }

    fn number(&mut self) -> Option<Json> {
        let whole = self.rest;
        self.takes(b"-");
        if !self.takes(b"0") {
            self.digits()?;
        }
        if self.takes(b".") {
            self.digits()?;
        }
        if self.takes(b"e") || self.takes(b"E") {
            let _signed = self.takes(b"+") || self.takes(b"-");
            self.digits()?;
        }
        let source = &whole[..whole.len() - self.rest.len()];
        String::from_utf8(source.to_vec()).ok().map(Json::Number)
    }

    fn digits(&mut self) -> Option<()> {
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.rest = &self.rest[count..];
        (count > 0).then_some(())
    }

    fn space(&mut self) {
        self.rest = &self.rest[self.rest.iter().take_while(|b| b" \t\n\r".contains(b)).count()..];
    }

    fn takes(&mut self, wanted: &[u8]) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }
}
