//! What is drawn, as SVG. Everything is placed in a box of 100 by 100 that is stretched to its place, and
//! styled by class: the policy lets no element carry a style.
use std::fmt::Write as _;

/// A small line without axes, in a box of 100 by 26.
#[derive(Clone, Debug, Default)]
pub(super) struct Spark {
    /// The line.
    pub(super) line: String,
    /// What is under it.
    pub(super) area: String,
}

impl Spark {
    const HEIGHT: f64 = 26.0;

    /// The line breaks where a value is not known.
    pub(super) fn of(values: &[Option<f64>]) -> Self {
        let known = values.iter().copied().flatten();
        let most = known.clone().fold(0.0, f64::max);
        if known.count() < 2 || most <= 0.0 {
            return Self::default();
        }
        let step = 100.0 / (values.len() - 1) as f64;
        let mut spark = Self::default();
        let mut run: Vec<(f64, f64)> = Vec::new();
        for (nth, value) in values.iter().enumerate() {
            let x = nth as f64 * step;
            match value {
                Some(value) => {
                    let y = Self::HEIGHT - 2.0 - value.max(0.0) / most * (Self::HEIGHT - 6.0);
                    run.push((x, y));
                }
                None => spark.end_run(&mut run, step),
            }
        }
        spark.end_run(&mut run, step);
        spark
    }

    /// Draws a run of known values. One alone is as wide as half a step.
    fn end_run(&mut self, run: &mut Vec<(f64, f64)>, step: f64) {
        if let [(x, y)] = run[..] {
            *run = vec![((x - step / 4.0).max(0.0), y), ((x + step / 4.0).min(100.0), y)];
        }
        if let (Some((first, _)), Some((last, _))) = (run.first(), run.last()) {
            let mut line = String::new();
            for (x, y) in &*run {
                push_point(&mut line, *x, *y);
            }
            let (first, last, bottom) = (number(*first), number(*last), Self::HEIGHT);
            self.area += &format!("{line}L{last} {bottom}L{first} {bottom}Z");
            self.line += &line;
        }
        run.clear();
    }
}

/// A bar, or where there is none.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    pub(super) x: String,
    pub(super) width: String,
    pub(super) y: String,
    pub(super) height: String,
    /// `bar`, `bar above`, `bar partial` or `gap`.
    pub(super) class: &'static str,
    /// What it says when one points at it.
    pub(super) title: String,
}

/// What stands at an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    /// In percent of the axis.
    pub(super) at: String,
    pub(super) label: String,
}

/// What stands under a chart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct XTick {
    /// In percent of the axis.
    pub(super) at: String,
    pub(super) label: String,
    /// `edge` where the label lies around its tick instead of beginning there, `wide` where a phone has
    /// no room for it.
    pub(super) class: &'static str,
}

impl XTick {
    /// Labels at their places in percent, from left to right. None goes beyond the edge, and none into
    /// the next one.
    pub(super) fn all(labels: Vec<(f64, String)>) -> Vec<Self> {
        /// From here on no label has room, from there on none that begins at its tick.
        const EDGES: (f64, f64) = (96.0, 90.0);
        /// A phone has room for every second one, up to here, unless they are few.
        const NARROW: (f64, usize) = (80.0, 4);
        let is_few = labels.len() <= NARROW.1;
        let tick = |(nth, (at, label)): (usize, (f64, String))| {
            let is_wide = !is_few && (!nth.is_multiple_of(2) || at > NARROW.0);
            let class = match (is_wide, at > EDGES.1) {
                (true, true) => "wide edge",
                (true, false) => "wide",
                (false, true) => "edge",
                (false, false) => "",
            };
            Self { at: format!("{at:.2}"), label, class }
        };
        labels.into_iter().filter(|(at, _)| *at <= EDGES.0).enumerate().map(tick).collect()
    }
}

/// One interval of a chart.
#[derive(Clone, Debug, Default)]
pub(super) struct Interval {
    /// What was; none where nothing is known.
    pub(super) value: Option<f64>,
    /// From where to where it usually is.
    pub(super) usual: Option<(f64, f64)>,
    /// What was a week earlier.
    pub(super) before: Option<f64>,
    /// Whether more may still come.
    pub(super) is_partial: bool,
    /// What a pointer is told.
    pub(super) title: String,
}

/// Bars over time before what is usual.
#[derive(Clone, Debug, Default)]
pub(super) struct Bars {
    pub(super) bars: Vec<Bar>,
    /// The usual range, a path for each run of intervals that have one.
    pub(super) band: String,
    /// The line of a week earlier.
    pub(super) before: String,
    pub(super) y_ticks: Vec<Tick>,
    /// How many were above what is usual.
    pub(super) above: usize,
}

impl Bars {
    /// `label` tells a value at the axis; `base` is that of its units.
    pub(super) fn of(intervals: &[Interval], base: f64, label: impl Fn(f64) -> String) -> Self {
        let all = intervals.iter().flat_map(|it| {
            [it.value, it.usual.map(|(_, most)| most), it.before].into_iter().flatten()
        });
        let (top, step) = axis(all.fold(0.0, f64::max), base);
        let y = |value: f64| 100.0 - value / top * 100.0;
        let width = 100.0 / intervals.len().max(1) as f64;
        let mut chart = Self::default();
        let mut band: Vec<(f64, f64, f64)> = Vec::new();
        let mut is_line = false;
        for (nth, interval) in intervals.iter().enumerate() {
            let x = nth as f64 * width;
            chart.bars.push(bar(interval, x, width, y));
            let is_above = matches!((interval.value, interval.usual), (Some(value), Some((_, most))) if value > most);
            chart.above += usize::from(is_above);
            match interval.usual {
                Some((least, most)) => band.push((x + width / 2.0, y(least), y(most))),
                None => chart.end_band(&mut band),
            }
            match interval.before {
                Some(before) => {
                    if !is_line {
                        chart.before.push('M');
                    }
                    push_point(&mut chart.before, x + width / 2.0, y(before));
                    is_line = true;
                }
                None => is_line = false,
            }
        }
        chart.end_band(&mut band);
        let mut value = 0.0;
        // Half a step more or less is what the sums of a double may be off.
        while value < top + step / 2.0 {
            chart.y_ticks.push(Tick { at: number(y(value)), label: label(value) });
            value += step;
        }
        chart
    }

    fn end_band(&mut self, band: &mut Vec<(f64, f64, f64)>) {
        if band.len() > 1 {
            let mut path = String::new();
            for (x, _, most) in &*band {
                push_point(&mut path, *x, *most);
            }
            for (x, least, _) in band.iter().rev() {
                push_point(&mut path, *x, *least);
            }
            self.band += &path;
            self.band.push('Z');
        }
        band.clear();
    }
}

fn bar(interval: &Interval, x: f64, width: f64, y: impl Fn(f64) -> f64) -> Bar {
    let (class, top) = match (interval.value, interval.usual) {
        (None, _) => ("gap", 0.0),
        (Some(value), Some((_, most))) if value > most => ("bar above", y(value)),
        (Some(value), _) if interval.is_partial => ("bar partial", y(value)),
        (Some(value), _) => ("bar", y(value)),
    };
    Bar {
        x: number(x + width * 0.1),
        width: number(width * 0.8),
        y: number(top),
        height: number(100.0 - top),
        class,
        title: interval.title.clone(),
    }
}

/// Where an axis ends and how far its lines are apart: three to five of them, at round values.
fn axis(most: f64, base: f64) -> (f64, f64) {
    if most <= 0.0 {
        return (1.0, 1.0);
    }
    let mut unit = 1.0;
    while most / unit >= base {
        unit *= base;
    }
    let rough = most / unit / 4.0;
    let size = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|it| it * size).find(|it| *it >= rough);
    let step = step.unwrap_or(size * 10.0) * unit;
    ((most / step).ceil() * step, step)
}

/// A point of a path: its first one moves, the others draw.
fn push_point(path: &mut String, x: f64, y: f64) {
    if path.is_empty() {
        path.push('M');
    } else if !path.ends_with('M') {
        path.push('L');
    }
    // Writing to a String does not fail.
    let _written = write!(path, "{} {}", number(x), number(y));
}

/// Two places behind the point are finer than any screen.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_value_above_the_most() {
        assert_eq!(axis(38.0, 1024.0), (40.0, 10.0));
        assert_eq!(axis(1.0, 1024.0), (1.0, 0.25));
        assert_eq!(axis(0.0, 1024.0), (1.0, 1.0));
        assert_eq!(axis(3.0 * 1024.0, 1024.0), (3.0 * 1024.0, 1024.0));
    }

    #[test]
    fn nothing_known_is_a_gap_and_no_zero() {
        let known = Interval { value: Some(2.0), usual: Some((0.5, 1.0)), ..Interval::default() };
        let chart = Bars::of(&[known, Interval::default()], 1024.0, |value| value.to_string());
        let classes: Vec<_> = chart.bars.iter().map(|bar| bar.class).collect();
        assert_eq!(classes, ["bar above", "gap"]);
        assert_eq!(chart.bars[1].height, "100");
        assert_eq!(chart.above, 1);
        assert_eq!(
            chart.y_ticks.first(),
            Some(&Tick { at: "100".to_owned(), label: "0".to_owned() })
        );
    }

    #[test]
    fn labels_stay_within_the_axis_and_a_phone_has_every_second_one() {
        let classes = |first: f64| {
            let labels = (0..8).map(|nth| (f64::from(nth) * 12.5 + first, nth.to_string()));
            XTick::all(labels.collect()).iter().map(|tick| tick.class).collect::<Vec<_>>()
        };
        assert_eq!(classes(1.0), ["", "wide", "", "wide", "", "wide", "", "wide"]);
        assert_eq!(classes(5.0), ["", "wide", "", "wide", "", "wide", "", "wide edge"]);
        assert_eq!(classes(10.0).len(), 7);
        let few = XTick::all(vec![(0.0, String::new()), (50.0, String::new())]);
        assert!(few.iter().all(|tick| tick.class.is_empty()), "{few:?}");
    }

    #[test]
    fn a_line_breaks_where_nothing_is_known() {
        let before = |before| Interval { before, value: Some(1.0), ..Interval::default() };
        let chart = Bars::of(&[before(Some(1.0)), before(None), before(Some(1.0))], 1024.0, |_| {
            String::new()
        });
        assert_eq!(chart.before.matches('M').count(), 2);
    }

    #[test]
    fn a_spark_needs_two_points_and_something_to_show() {
        assert!(Spark::of(&[Some(1.0)]).line.is_empty());
        assert!(Spark::of(&[None, Some(1.0)]).line.is_empty());
        assert!(Spark::of(&[Some(0.0), Some(0.0)]).line.is_empty());
        let spark = Spark::of(&[Some(0.0), Some(1.0)]);
        assert_eq!(spark.line, "M0 24L100 4");
        assert_eq!(spark.area, "M0 24L100 4L100 26L0 26Z");
    }

    #[test]
    fn a_spark_breaks_where_nothing_is_known() {
        let spark = Spark::of(&[None, Some(0.0), Some(1.0), None, Some(1.0)]);
        assert_eq!(spark.line, "M25 24L50 4M93.75 4L100 4");
        assert_eq!(spark.area, "M25 24L50 4L50 26L25 26ZM93.75 4L100 4L100 26L93.75 26Z");
    }
}
