//! JSON texts taken apart, level by level.

/// What a JSON text is made of, on its first level.
pub(super) enum Parts<'t> {
    Array(Vec<&'t [u8]>),
    /// Keys with their quotes, and values.
    Object(Vec<(&'t [u8], &'t [u8])>),
    /// A single value, or no JSON.
    Other,
}

/// Takes a text apart by its brackets, commas and quotes alone: what cannot be read (bytes that are
/// no text, repeated keys, any depth) is taken apart like the rest.
pub(super) fn parts(text: &[u8]) -> Parts<'_> {
    let text = text.trim_ascii();
    let (Some(open), Some(close)) = (text.first(), text.last()) else { return Parts::Other };
    let is_object = match (open, close) {
        (b'[', b']') => false,
        (b'{', b'}') => true,
        _ => return Parts::Other,
    };
    let Some(pieces) = pieces(&text[1..text.len() - 1]) else { return Parts::Other };
    if !is_object {
        return Parts::Array(pieces.into_iter().map(|(_, piece)| piece.trim_ascii()).collect());
    }
    let members = pieces.into_iter().map(|(colon, piece)| {
        let (key, value) = piece.split_at_checked(colon?)?;
        let (key, value) = (key.trim_ascii(), value[1..].trim_ascii());
        (key.first() == Some(&b'"') && !value.is_empty()).then_some((key, value))
    });
    members.collect::<Option<_>>().map_or(Parts::Other, Parts::Object)
}

/// What stands between the commas of the first level, and where in it the first colon is; nothing
/// where brackets and quotes do not match.
fn pieces(text: &[u8]) -> Option<Vec<(Option<usize>, &[u8])>> {
    let (mut found, mut open) = (Vec::new(), Vec::new());
    let (mut start, mut colon, mut in_string, mut is_escaped) = (0, None, false, false);
    for (at, byte) in text.iter().enumerate() {
        if in_string {
            in_string = is_escaped || *byte != b'"';
            is_escaped = !is_escaped && *byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' => open.push(b']'),
            b'{' => open.push(b'}'),
            b']' | b'}' => (open.pop() == Some(*byte)).then_some(())?,
            b':' if open.is_empty() => colon = colon.or(Some(at - start)),
            b',' if open.is_empty() => {
                found.push((colon.take(), &text[start..at]));
                start = at + 1;
            }
            _ => (),
        }
    }
    if in_string || !open.is_empty() {
        return None;
    }
    let last = &text[start..];
    if !found.is_empty() || !last.trim_ascii().is_empty() {
        found.push((colon, last));
    }
    Some(found)
}
