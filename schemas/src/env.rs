//! `${NAME}` inside a string value: the environment variable's value. `$${` stands for `${`.

/// Looks a variable up.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// `text` with variables replaced; what they hold is not looked at again. An error says what to write instead.
pub fn expand(text: &str, lookup: Lookup<'_>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if let Some(before) = rest[..at].strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let (name, after) =
            rest[at + 2..].split_once('}').ok_or("has `${` without `}`; write ${NAME}, or $${ for a plain `${`")?;
        if !is_name(name) {
            return Err(
                "has `${` before something that is no variable's name; write ${NAME}, or $${ for a plain `${`".into()
            );
        }
        out.push_str(&lookup(name).ok_or_else(|| format!("needs the environment variable {name}, which is not set"))?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "BUCKET" => Some("b${BUCKET}".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn variables_expand_once_and_can_be_escaped() {
        assert_eq!(expand("s3://${BUCKET}/x${EMPTY}", &lookup).as_deref(), Ok("s3://b${BUCKET}/x"));
        assert_eq!(expand("$${BUCKET} costs $5 $", &lookup).as_deref(), Ok("${BUCKET} costs $5 $"));
    }

    #[test]
    fn an_unset_variable_is_named() {
        assert!(expand("${NOPE}", &lookup).is_err_and(|e| e.contains("NOPE")));
        assert!(expand("${BUCKET", &lookup).is_err());
        assert!(expand("${}", &lookup).is_err());
    }
}
