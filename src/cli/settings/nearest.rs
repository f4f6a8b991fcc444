use crate::domain::edits;

/// `; did you mean …?` for the known word that differs least, or nothing if all differ much.
pub(super) fn hint<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    let word = word.to_lowercase();
    known
        .map(|candidate| (edits(&word, &candidate.to_lowercase()), candidate))
        .min()
        .filter(|(edits, candidate)| *edits <= candidate.len().div_ceil(4))
        .map(|(_, candidate)| format!("; did you mean `{candidate}`?"))
        .unwrap_or_default()
}
