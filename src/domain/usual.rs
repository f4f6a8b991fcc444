use super::AggregateRow;

/// Between which values a sum usually lies: what it was at the same time of the week in each of the
/// four weeks before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usual {
    /// One of ten is smaller.
    pub p10: i64,
    /// One of ten is larger.
    pub p90: i64,
}

/// A sum, and what it usually is. None where four weeks are not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComparedRow {
    /// The sum; of nothing where there is none but there usually is one.
    pub row: AggregateRow,
    /// What it usually is: of volumes, for messages of their number.
    pub usual: Option<Usual>,
}

impl Usual {
    /// How many weeks are looked at.
    pub const WEEKS: usize = 4;

    /// Between the values of these weeks, in any order: a percentile that lies between two of them
    /// is as far from each as its place says, rounded down.
    pub fn of(mut weeks: [i64; Self::WEEKS]) -> Self {
        weeks.sort_unstable();
        let between = |low: i64, high: i64, tenths: i64| {
            let far = (i128::from(high) - i128::from(low)) * i128::from(tenths) / 10;
            low + i64::try_from(far).unwrap_or(high - low)
        };
        // Of four values the tenth percentile has place 0.3, the ninetieth 2.7, from 0 on.
        let [first, second, third, last] = weeks;
        Self { p10: between(first, second, 3), p90: between(third, last, 7) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_the_outer_values() {
        assert_eq!(Usual::of([40, 10, 30, 20]), Usual { p10: 13, p90: 37 });
        assert_eq!(Usual::of([0, 0, 0, 5]), Usual { p10: 0, p90: 3 });
        assert_eq!(Usual::of([7; 4]), Usual { p10: 7, p90: 7 });
        let huge = Usual::of([0, i64::MAX, i64::MAX, i64::MAX]);
        assert_eq!(huge, Usual { p10: i64::MAX / 10 * 3 + 2, p90: i64::MAX });
    }
}
