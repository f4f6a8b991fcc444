/// Sets JSON out over lines, two blanks a level. Numbers and texts are not read, so that every digit
/// and the order of members stay as they came. What is no JSON comes out as something else.
pub(super) fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    let mut has_opened = false;
    for letter in json.chars() {
        if in_text {
            out.push(letter);
            in_text = is_escaped || letter != '"';
            is_escaped = !is_escaped && letter == '\\';
            continue;
        }
        if letter.is_ascii_whitespace() {
            continue;
        }
        let closes = matches!(letter, '}' | ']');
        if closes {
            depth = depth.saturating_sub(1);
        }
        // What is empty stays on its line.
        if has_opened != closes {
            new_line(&mut out, depth);
        }
        out.push(letter);
        has_opened = matches!(letter, '{' | '[');
        match letter {
            '{' | '[' => depth += 1,
            ',' => new_line(&mut out, depth),
            ':' => out.push(' '),
            '"' => in_text = true,
            _ => (),
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
}

#[cfg(test)]
#[path = "indented_tests.rs"]
mod tests;
