use super::{DEPTH_MAX, Flaws, What};

/// A text is not one complete JSON value; it went wrong at this byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON from byte {at} on")]
pub(in crate::smarthub) struct Malformed {
    pub(in crate::smarthub) at: usize,
}

/// The parts of a JSON text, each before what it contains.
#[derive(Debug)]
pub(in crate::smarthub) struct Tape {
    pub(super) parts: Vec<Part>,
}

/// One value or key: where it lies in the source, quotes included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) what: What,
    pub(super) flaws: Flaws,
    /// A text with a backslash in it.
    pub(super) escaped: bool,
    pub(super) start: u32,
    pub(super) end: u32,
    /// The index of the part after this one and all that it contains.
    pub(super) next: u32,
}

impl Tape {
    /// Reads a whole text.
    pub(in crate::smarthub) fn scan(text: &[u8]) -> Result<Self, Malformed> {
        // Offsets are 32 bits; the largest body that settings allow is far below.
        if u32::try_from(text.len()).is_err() {
            return Err(Malformed { at: 0 });
        }
        let parts = Vec::with_capacity((text.len() / 8).clamp(16, 4096));
        let mut scanner = Scanner { text, at: 0, parts, open: Vec::new() };
        scanner.document()?;
        Ok(Self { parts: scanner.parts })
    }
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    parts: Vec<Part>,
    open: Vec<Open>,
}

/// A container whose end has not come yet.
struct Open {
    is_object: bool,
    /// Its part; none for those too deep to be listed.
    part: Option<u32>,
}

impl Scanner<'_> {
    /// One value with nothing behind it. Containers are kept on a list, not on the call stack.
    fn document(&mut self) -> Result<(), Malformed> {
        self.skip_space();
        self.value()?;
        loop {
            self.skip_space();
            let Some(open) = self.open.last() else { break };
            let is_object = open.is_object;
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.skip_space();
                    if is_object {
                        self.key()?;
                    }
                    self.value()?;
                }
                Some(b'}') if is_object => self.close(),
                Some(b']') if !is_object => self.close(),
                _ => return Err(self.malformed()),
            }
        }
        if self.at == self.text.len() { Ok(()) } else { Err(self.malformed()) }
    }

    /// A value whose first byte is next. Of a container, only its beginning up to the first value
    /// that is no container.
    fn value(&mut self) -> Result<(), Malformed> {
        loop {
            match self.peek() {
                Some(b'{') => {
                    self.open(true);
                    if self.peek() == Some(b'}') {
                        self.close();
                        return Ok(());
                    }
                    self.key()?;
                }
                Some(b'[') => {
                    self.open(false);
                    if self.peek() == Some(b']') {
                        self.close();
                        return Ok(());
                    }
                }
                _ => return self.scalar(),
            }
        }
    }

    fn scalar(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            Some(b'"') => self.text(What::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true", What::True),
            Some(b'f') => self.word(b"false", What::False),
            Some(b'n') => self.word(b"null", What::Null),
            _ => Err(self.malformed()),
        }
    }

    /// A key and its colon, up to the first byte of the value.
    fn key(&mut self) -> Result<(), Malformed> {
        if self.peek() != Some(b'"') {
            return Err(self.malformed());
        }
        self.text(What::Key)?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.malformed());
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    fn open(&mut self, is_object: bool) {
        let what = if is_object { What::Object } else { What::Array };
        let part = self.list(what, self.at, Flaws::default(), false);
        self.open.push(Open { is_object, part });
        self.at += 1;
        self.skip_space();
    }

    fn close(&mut self) {
        self.at += 1;
        let Some(open) = self.open.pop() else { return };
        let Some(part) = open.part else { return };
        let next = index(self.parts.len());
        let end = index(self.at);
        let closed = &mut self.parts[part as usize];
        (closed.end, closed.next) = (end, next);
        let flaws = closed.flaws;
        self.tell_parent(flaws);
    }

    fn text(&mut self, what: What) -> Result<(), Malformed> {
        let start = self.at;
        self.at += 1;
        let (mut escaped, mut ascii, mut flaws) = (false, true, Flaws::default());
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    if self.escape()? {
                        flaws.add(Flaws::TEXT);
                    }
                }
                Some(0x20..) => {
                    ascii &= self.text[self.at].is_ascii();
                    self.at += 1;
                }
                _ => return Err(self.malformed()),
            }
        }
        if !ascii && std::str::from_utf8(&self.text[start..self.at]).is_err() {
            flaws.add(Flaws::TEXT);
        }
        self.at += 1;
        self.list(what, start, flaws, escaped);
        Ok(())
    }

    /// What stands behind a backslash; true if it is no character: U+0000 or half of a pair.
    fn escape(&mut self) -> Result<bool, Malformed> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(false)
            }
            Some(b'u') => match self.four_hex()? {
                0 | 0xDC00..=0xDFFF => Ok(true),
                0xD800..=0xDBFF => {
                    let low = self.text[self.at..].starts_with(b"\\u");
                    let before = self.at;
                    if low {
                        self.at += 1;
                        if matches!(self.four_hex()?, 0xDC00..=0xDFFF) {
                            return Ok(false);
                        }
                    }
                    self.at = before;
                    Ok(true)
                }
                _ => Ok(false),
            },
            _ => Err(self.malformed()),
        }
    }

    /// `u` and four hex digits.
    fn four_hex(&mut self) -> Result<u16, Malformed> {
        let digits = self.text.get(self.at + 1..self.at + 5).ok_or(self.malformed())?;
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        let mut code = 0;
        for byte in digits {
            code = code * 16 + digit(byte).ok_or(self.malformed())?;
        }
        self.at += 5;
        Ok(u16::try_from(code).unwrap_or_default())
    }

    /// `-?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)?`
    fn number(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        let mut plain = true;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            plain = false;
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        let mut flaws = Flaws::default();
        let source = &self.text[start..self.at];
        if (!plain || source.len() > 300) && !is_finite(source) {
            flaws.add(Flaws::NUMBER);
        }
        self.list(What::Number, start, flaws, false);
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let count = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.malformed());
        }
        self.at += count;
        Ok(())
    }

    fn word(&mut self, word: &[u8], what: What) -> Result<(), Malformed> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.malformed());
        }
        let start = self.at;
        self.at += word.len();
        self.list(what, start, Flaws::default(), false);
        Ok(())
    }

    /// Adds a part that ends here, unless it lies too deep.
    fn list(&mut self, what: What, start: usize, flaws: Flaws, escaped: bool) -> Option<u32> {
        if self.open.len() >= DEPTH_MAX {
            self.tell_parent(Flaws::DEPTH);
            return None;
        }
        self.tell_parent(flaws);
        let own = index(self.parts.len());
        let (start, end) = (index(start), index(self.at));
        self.parts.push(Part { what, flaws, escaped, start, end, next: own + 1 });
        Some(own)
    }

    fn tell_parent(&mut self, flaws: Flaws) {
        let listed = self.open.len().min(DEPTH_MAX);
        if flaws.any()
            && let Some(Open { part: Some(parent), .. }) = self.open[..listed].last()
        {
            self.parts[*parent as usize].flaws.add(flaws);
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn malformed(&self) -> Malformed {
        Malformed { at: self.at }
    }
}

fn is_finite(source: &[u8]) -> bool {
    std::str::from_utf8(source)
        .ok()
        .and_then(|text| text.parse::<f64>().ok())
        .is_some_and(f64::is_finite)
}

/// Fits, because the text's length does.
fn index(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
