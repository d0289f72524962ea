//! Where a table is written anew: beside the live one's places, under the name of its version.
//!
//! `.../attribute_events/` has `.../attribute_events_v2/` beside it, `.../v1/` has `.../v2/`, and so have the errors output and the
//! state. Beside, never below: engines list all that lies below a table's root.

use std::str::FromStr;

use writer::settings::LakeSettings;

/// Longest name of a version.
const VERSION_BYTES_MAX: usize = 64;

/// What a version is called: `v2`, or a name of the operator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(String);

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let good = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if begins && text.len() <= VERSION_BYTES_MAX && text.chars().all(good) {
            return Ok(Version(text.to_string()));
        }
        Err(format!("write a name such as v2: 1 to {VERSION_BYTES_MAX} letters, digits, _ and -"))
    }
}

/// The last folder of a URL, taken apart.
struct Last<'a> {
    above: &'a str,
    /// Without the version; empty where the folder is a version and nothing else.
    name: &'a str,
    version: Option<u64>,
}

/// `None` for a whole bucket or disk: nothing lies beside it.
fn last(url: &str) -> Option<Last<'_>> {
    let (scheme, _) = url.split_once("://")?;
    let (above, folder) = url.trim_end_matches('/').rsplit_once('/')?;
    if folder.is_empty() || above.len() < scheme.len() + 3 {
        return None;
    }
    let number = |text: &str| text.strip_prefix('v').and_then(|digits| digits.parse::<u64>().ok());
    if let Some(version) = number(folder) {
        return Some(Last { above, name: "", version: Some(version) });
    }
    let numbered = folder.rsplit_once('_').and_then(|(name, version)| Some((name, number(version)?)));
    let (name, version) = numbered.map_or((folder, None), |(name, version)| (name, Some(version)));
    Some(Last { above, name, version })
}

fn beside(url: &str, version: &Version) -> Result<String, String> {
    let Last { above, name, .. } = last(url).ok_or_else(|| format!("nothing lies beside {url}: it is no folder"))?;
    let Version(version) = version;
    Ok(if name.is_empty() { format!("{above}/{version}/") } else { format!("{above}/{name}_{version}/") })
}

/// The version behind the table's, which is the first one where its URL says none.
fn next(url: &str) -> Version {
    let version = last(url).and_then(|last| last.version).unwrap_or(1);
    Version(format!("v{}", version.saturating_add(1)))
}

/// The lake of the version asked for, or of the next one, beside `live`, with objects read below `source`.
pub fn rebuilt(live: &LakeSettings, version: Option<&Version>, source: &str) -> Result<LakeSettings, String> {
    let version = version.cloned().unwrap_or_else(|| next(&live.url));
    let new = LakeSettings {
        url: beside(&live.url, &version)?,
        errors: beside(&live.errors, &version)?,
        state: beside(&live.state, &version)?,
        archive: None,
        ..live.clone()
    };
    let source = format!("{}/", source.trim_end_matches('/'));
    let there = [Some(&live.url), Some(&live.errors), Some(&live.state), live.archive.as_ref(), Some(&source)];
    let places = [&new.url, &new.errors, &new.state];
    for (n, place) in places.iter().enumerate() {
        let others = there.into_iter().flatten().chain(places[..n].iter().copied());
        let mut in_the_way = others.filter(|other| place.starts_with(*other) || other.starts_with(place.as_str()));
        if let Some(other) = in_the_way.next() {
            return Err(format!("{place} would lie in the way of {other}; name another version with --as"));
        }
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lake(url: &str, errors: &str, state: &str) -> LakeSettings {
        LakeSettings {
            url: url.into(),
            errors: errors.into(),
            state: state.into(),
            archive: Some("s3://lake/raw/events/".into()),
            endpoint_url: None,
            region: None,
            allow_http: false,
        }
    }

    fn of(live: &LakeSettings, version: Option<&str>) -> Result<[String; 3], String> {
        let version = version.map(|text| text.parse().expect("a version"));
        let LakeSettings { url, errors, state, archive, .. } = rebuilt(live, version.as_ref(), "s3://lake/raw/events")?;
        assert_eq!(archive, None);
        Ok([url, errors, state])
    }

    #[test]
    fn every_place_has_its_version_beside_it() {
        let plain = lake("s3://lake/events/", "s3://lake/errors/events/", "s3://lake/_alluvium/events/");
        let two = ["s3://lake/events_v2/", "s3://lake/errors/events_v2/", "s3://lake/_alluvium/events_v2/"];
        assert_eq!(of(&plain, None).expect("places"), two);
        assert_eq!(of(&plain, Some("2026-q1")).expect("places")[0], "s3://lake/events_2026-q1/");
        // The state stays when the table has moved: both go by the table's version.
        let moved = lake("s3://lake/events_v9/", "s3://lake/errors/events_v9/", "s3://lake/_alluvium/events/");
        let ten = ["s3://lake/events_v10/", "s3://lake/errors/events_v10/", "s3://lake/_alluvium/events_v10/"];
        assert_eq!(of(&moved, None).expect("places"), ten);
        let folders = lake("s3://lake/events/v1/", "file:///errors/", "s3://lake/state_v7/");
        let two = ["s3://lake/events/v2/", "file:///errors_v2/", "s3://lake/state_v2/"];
        assert_eq!(of(&folders, None).expect("places"), two);
    }

    #[test]
    fn nothing_is_written_where_something_else_lies() {
        let whole = lake("s3://lake/", "s3://errors/e/", "s3://state/s/");
        assert!(of(&whole, None).expect_err("a bucket").contains("no folder"));
        let plain = lake("s3://lake/v1/", "s3://lake/errors_v2/", "s3://lake/state/");
        for version in ["v1", "raw", "errors_v2"] {
            assert!(of(&plain, Some(version)).expect_err(version).contains("in the way of"), "{version}");
        }
        let version = "v2".parse().ok();
        let live = lake("s3://lake/events/", "s3://lake/errors/", "s3://lake/state/");
        assert!(rebuilt(&live, version.as_ref(), "s3://lake").expect_err("all of it").contains("in the way of"));
    }

    #[test]
    fn a_version_is_a_name() {
        for text in ["", "v/2", "../v2", "_v2", "-v", "v 2", &"v".repeat(65)] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
