//! One bit for each of very many.
/// A stack of bits.
#[derive(Default)]
pub(super) struct Bits {
    words: Vec<u64>,
    count: usize,
}

impl Bits {
    pub(super) fn push(&mut self, bit: bool) {
        let (word, at) = (self.count / 64, self.count % 64);
        if word == self.words.len() {
            self.words.push(0);
        }
        self.words[word] = self.words[word] & !(1 << at) | u64::from(bit) << at;
        self.count += 1;
    }

    pub(super) fn last(&self) -> Option<bool> {
        let last = self.count.checked_sub(1)?;
        Some(self.words[last / 64] >> (last % 64) & 1 == 1)
    }

    pub(super) fn pop(&mut self) -> bool {
        let was_there = self.count > 0;
        self.count -= usize::from(was_there);
        was_there
    }
}
