//! Where a column's value lies in the event: jq's plain paths, `.source.type`, `."odd name".b`.

/// Most members of a path; an event is not nested deeper than this and still sane.
const MEMBERS_MAX: usize = 64;

/// The members of a path, outermost first. The error says what to write instead.
pub(super) fn parse(text: &str) -> Result<Vec<String>, String> {
    let want = "write one such as `.source.type` or `.\"odd name\".type`";
    let mut members = Vec::new();
    let mut rest = text.trim();
    if rest.is_empty() || rest == "." {
        return Err(format!("path `{text}` names no member: {want}"));
    }
    while !rest.is_empty() {
        rest = rest.strip_prefix('.').ok_or_else(|| format!("path `{text}` has no `.` before `{rest}`: {want}"))?;
        let (member, behind) = if rest.starts_with('"') { quoted(rest) } else { plain(rest) }
            .ok_or_else(|| format!("path `{text}` is not understood at `{rest}`: {want}"))?;
        members.push(member);
        rest = behind;
    }
    if members.len() > MEMBERS_MAX {
        return Err(format!("path `{}...` has more than {MEMBERS_MAX} members", &text[..text.floor_char_boundary(40)]));
    }
    Ok(members)
}

/// As jq's field names: letters, digits and `_`, no digit first.
fn plain(text: &str) -> Option<(String, &str)> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let (member, rest) = text.split_at(end);
    let named = !member.is_empty() && !member.starts_with(|c: char| c.is_ascii_digit());
    named.then(|| (member.to_string(), rest))
}

/// A JSON string.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find_map(|(i, c)| match c {
        '"' if !escaped => Some(i),
        c => {
            escaped = c == '\\' && !escaped;
            None
        }
    })?;
    let member = serde_json::from_str(&text[..=end]).ok()?;
    Some((member, &text[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_and_quoted_members_are_read() {
        assert_eq!(parse(".a").expect("a path"), ["a"]);
        assert_eq!(parse(".diffUrl.x_1").expect("a path"), ["diffUrl", "x_1"]);
        assert_eq!(parse(r#"."odd name".b."\"é\\\u0041""#).expect("a path"), ["odd name", "b", "\"é\\A"]);
        assert_eq!(parse(r#".""."a.b""#).expect("a path"), ["", "a.b"]);
    }

    #[test]
    fn what_is_no_path_is_refused_with_an_example() {
        for text in ["", ".", "a", ".a.", ".a..b", ".1a", ".a[0]", ".a-b", ".\"open", ".\"a\"b", ".a b", ".é"] {
            let what = parse(text).expect_err(text);
            assert!(what.contains("write one such as `.source.type`"), "{what}");
        }
    }
}
