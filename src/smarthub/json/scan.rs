use super::{DEPTH_MAX, Flaws, What, bits::Bits};

/// A text is not one complete JSON value; it went wrong at this byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON from byte {at} on")]
pub(in crate::smarthub) struct Malformed {
    pub(in crate::smarthub) at: usize,
}

/// Where the parts go that a scan finds.
pub(in crate::smarthub) trait Parts {
    /// A value or key begins at this depth, the document's own being 0; unless it is a container it
    /// also ends. Gives its number, or none to end the scan.
    fn add(&mut self, depth: usize, part: Part) -> Option<u32>;
    /// The container of this number and depth ends before this byte.
    fn close(&mut self, depth: usize, number: u32, end: usize);
    /// There are flaws inside the container of this number.
    fn tell(&mut self, number: u32, flaws: Flaws);
}

/// One value or key: where it lies in the source, quotes included.
#[derive(Clone, Copy, Debug)]
pub(in crate::smarthub) struct Part {
    pub(in crate::smarthub) what: What,
    pub(super) flaws: Flaws,
    /// A text with a backslash in it.
    pub(super) escaped: bool,
    pub(super) start: u32,
    /// Of a container only known when it ends.
    pub(super) end: u32,
    /// The index of the part after this one and all that it contains.
    pub(super) next: u32,
}

/// Reads a whole text. Beside what `parts` keeps it needs one bit for each container that is open.
pub(in crate::smarthub) fn scan(text: &[u8], parts: &mut impl Parts) -> Result<(), Malformed> {
    // Offsets are 32 bits; the largest body that settings allow is far below.
    if u32::try_from(text.len()).is_err() {
        return Err(Malformed { at: 0 });
    }
    Scanner { text, at: 0, parts, open: Vec::new(), deep: Bits::default() }.document()
}

struct Scanner<'a, P> {
    text: &'a [u8],
    at: usize,
    parts: &'a mut P,
    /// The containers whose end has not come yet.
    open: Vec<Open>,
    /// Those of them that are too deep to be listed: whether each is an object.
    deep: Bits,
}

/// A container whose end has not come yet.
struct Open {
    is_object: bool,
    number: u32,
    flaws: Flaws,
}

impl<P: Parts> Scanner<'_, P> {
    /// One value with nothing behind it. Containers are kept on a list, not on the call stack.
    fn document(&mut self) -> Result<(), Malformed> {
        self.skip_space();
        self.value()?;
        loop {
            self.skip_space();
            let listed = || self.open.last().map(|open| open.is_object);
            let Some(is_object) = self.deep.last().or_else(listed) else { break };
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
                    self.open(true)?;
                    if self.peek() == Some(b'}') {
                        self.close();
                        return Ok(());
                    }
                    self.key()?;
                }
                Some(b'[') => {
                    self.open(false)?;
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

    fn open(&mut self, is_object: bool) -> Result<(), Malformed> {
        let what = if is_object { What::Object } else { What::Array };
        match self.list(what, self.at, Flaws::default(), false)? {
            Some(number) => {
                self.open.push(Open { is_object, number, flaws: Flaws::default() });
            }
            None => self.deep.push(is_object),
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    fn close(&mut self) {
        self.at += 1;
        if self.deep.pop() {
            return;
        }
        let Some(Open { number, flaws, .. }) = self.open.pop() else { return };
        self.parts.close(self.open.len(), number, self.at);
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
        self.list(what, start, flaws, escaped)?;
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
        self.list(What::Number, start, flaws, false)?;
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
        self.list(what, start, Flaws::default(), false)?;
        Ok(())
    }

    /// Adds a part that ends here, unless it lies too deep; gives its number.
    fn list(
        &mut self,
        what: What,
        start: usize,
        flaws: Flaws,
        escaped: bool,
    ) -> Result<Option<u32>, Malformed> {
        if self.open.len() >= DEPTH_MAX {
            self.tell_parent(Flaws::DEPTH);
            return Ok(None);
        }
        self.tell_parent(flaws);
        let (start, end) = (index(start), index(self.at));
        let part = Part { what, flaws, escaped, start, end, next: 0 };
        match self.parts.add(self.open.len(), part) {
            None => Err(self.malformed()),
            number => Ok(number),
        }
    }

    fn tell_parent(&mut self, flaws: Flaws) {
        if flaws.any()
            && let Some(parent) = self.open.last_mut()
        {
            parent.flaws.add(flaws);
            self.parts.tell(parent.number, flaws);
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
pub(super) fn index(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
