use std::sync::atomic::{AtomicU64, Ordering};

/// How many values of a measure were how large. To note one takes no lock, and whoever reads may
/// see a value in one figure and not yet in the other.
///
/// It has cache lines of its own: what stands beside it is not slowed down by who notes values.
#[derive(Debug)]
#[repr(align(128))]
pub struct Histogram<const N: usize> {
    /// The largest value of each bucket, rising.
    bounds: [u64; N],
    counts: [AtomicU64; N],
    above: AtomicU64,
    sum: AtomicU64,
}

/// What a histogram held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistogramReading {
    /// The largest value of each bucket and how many it has; none for the last, which has the rest.
    pub buckets: Vec<(Option<u64>, u64)>,
    /// All values together.
    pub sum: u64,
}

impl<const N: usize> Histogram<N> {
    /// Nothing noted yet.
    pub fn new(bounds: [u64; N]) -> Self {
        let counts = [const { AtomicU64::new(0) }; N];
        Self { bounds, counts, above: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }

    /// Notes a value.
    pub fn note(&self, value: u64) {
        let bucket = self.bounds.iter().zip(&self.counts).find(|(bound, _)| value <= **bound);
        bucket.map_or(&self.above, |(_, count)| count).fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// What was noted so far.
    pub fn read(&self) -> HistogramReading {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let bounded = self.bounds.iter().copied().map(Some).zip(counts);
        let above = (None, self.above.load(Ordering::Relaxed));
        HistogramReading {
            buckets: bounded.chain([above]).collect(),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lies_in_the_first_bucket_that_takes_it() {
        let histogram = Histogram::new([1, 10]);
        for value in [0, 1, 2, 10, 11, 1000] {
            histogram.note(value);
        }
        let reading = histogram.read();
        assert_eq!(reading.buckets, [(Some(1), 2), (Some(10), 2), (None, 2)]);
        assert_eq!(reading.sum, 1024);
    }
}
