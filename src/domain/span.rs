use std::time::Duration;

/// A span of time as people read it, by its two largest units: `3 h 20 min`.
pub fn span(span: Duration) -> String {
    let minutes = span.as_secs() / 60;
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    let parts = match (days, hours) {
        (0, 0) => [(minutes, "min"), (0, "")],
        (0, _) => [(hours, "h"), (minutes, "min")],
        _ => [(days, "d"), (hours, "h")],
    };
    let [first, second] = parts.map(|(number, unit)| format!("{number} {unit}"));
    if parts[1].0 == 0 { first } else { format!("{first} {second}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_their_two_largest_units() {
        let told =
            [59, 60, 3600, 12_000, 86_400, 90_000 + 3599].map(|s| span(Duration::from_secs(s)));
        assert_eq!(told, ["0 min", "1 min", "1 h", "3 h 20 min", "1 d", "1 d 1 h"]);
    }
}
