//! RFC 8259 once more, to compare with: whether bytes are one JSON text, how deep it nests and what it is.

/// One JSON text.
#[derive(Debug, PartialEq, Eq)]
pub struct Text {
    pub object: bool,
    pub depth: usize,
}

/// The text, or nothing if the bytes are not exactly one. With a stack of its own.
pub fn recognise(data: &[u8]) -> Option<Text> {
    std::str::from_utf8(data).ok()?;
    let mut scanner = Scanner { data, at: 0 };
    scanner.space();
    let object = scanner.peek() == Some(b'{');
    let depth = scanner.value()?;
    scanner.space();
    (scanner.at == data.len()).then_some(Text { object, depth })
}

struct Scanner<'a> {
    data: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.data.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }

    /// Any value; how deep it nests.
    fn value(&mut self) -> Option<usize> {
        let (mut open, mut deepest) = (Vec::new(), 0);
        loop {
            self.space();
            let bracket = self.peek()?;
            match bracket {
                b'{' | b'[' => {
                    self.at += 1;
                    open.push(bracket);
                    deepest = deepest.max(open.len());
                    self.space();
                    if self.eat(bracket + 2).is_none() {
                        self.name(bracket)?;
                        continue;
                    }
                    open.pop();
                }
                _ => self.scalar()?,
            }
            if self.close(&mut open)? {
                return Some(deepest);
            }
        }
    }

    /// What stands behind a value: closing brackets, then a comma, or the end.
    fn close(&mut self, open: &mut Vec<u8>) -> Option<bool> {
        while let Some(&bracket) = open.last() {
            self.space();
            if self.eat(b',').is_some() {
                self.space();
                self.name(bracket)?;
                return Some(false);
            }
            self.eat(bracket + 2)?;
            open.pop();
        }
        Some(true)
    }

    /// The name of a member, if the bracket is an object's.
    fn name(&mut self, bracket: u8) -> Option<()> {
        if bracket == b'[' {
            return Some(());
        }
        self.string()?;
        self.space();
        self.eat(b':')
    }

    fn scalar(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.data[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn string(&mut self) -> Option<()> {
        self.eat(b'"')?;
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
                0..=0x1f => return None,
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.data.get(self.at..self.at + 4)?;
                self.at += 4;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<()> {
        let _ = self.eat(b'-');
        if self.eat(b'0').is_none() {
            self.digits()?;
        }
        if self.eat(b'.').is_some() {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            let _ = self.eat(b'+').or_else(|| self.eat(b'-'));
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let begin = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > begin).then_some(())
    }
}
