//! What all Describe actions do alike: identifiers, filters with wildcards, pages.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::noun::Noun;
use crate::model::Tags;
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::World;

/// What a filter looks at. `None`: the action has no filter of that name.
pub type FilterValues = Option<Vec<String>>;

/// One value of a filter.
#[expect(clippy::needless_pass_by_value, reason = "callers have references and small values alike")]
pub fn one(value: impl ToString) -> FilterValues {
    Some(vec![value.to_string()])
}

/// A value that may be absent: then nothing matches.
pub fn maybe(value: Option<impl ToString>) -> FilterValues {
    Some(value.map(|value| value.to_string()).into_iter().collect())
}

/// Several values, of which one must match.
pub fn many<T: ToString>(values: impl IntoIterator<Item = T>) -> FilterValues {
    Some(values.into_iter().map(|value| value.to_string()).collect())
}

/// The filters of a request.
pub struct Filters(Vec<(String, Vec<String>)>);

impl Filters {
    pub fn parse(query: &Query) -> Result<Self, ApiError> {
        query
            .structs("Filter")
            .into_iter()
            .map(|filter| {
                let name = filter.require("Name")?.to_owned();
                let values: Vec<String> = filter.list("Value").into_iter().map(str::to_owned).collect();
                if values.is_empty() {
                    return Err(ApiError::invalid_value(format!("The filter '{name}' has no values")));
                }
                Ok((name, values))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether a resource passes every filter.
    pub fn accept(&self, tags: &Tags, values: impl Fn(&str) -> FilterValues) -> Result<bool, ApiError> {
        for (name, wanted) in &self.0 {
            let found = match name.strip_prefix("tag:") {
                Some(key) => maybe(tags.get(key)),
                None if name == "tag-key" => many(tags.0.keys()),
                None if name == "tag-value" => many(tags.0.values()),
                None => values(name),
            };
            let found = found.ok_or_else(|| ApiError::invalid_value(format!("The filter '{name}' is invalid")))?;
            if !found.iter().any(|value| wanted.iter().any(|pattern| matches(pattern, value))) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// EC2's wildcards: `*` for any text, `?` for one character, a backslash takes the next character as it is.
fn matches(pattern: &str, text: &str) -> bool {
    fn walk(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['*', rest @ ..] => (0..=text.len()).any(|n| text.get(n..).is_some_and(|text| walk(rest, text))),
            ['?', rest @ ..] => text.split_first().is_some_and(|(_, text)| walk(rest, text)),
            ['\\', literal, rest @ ..] | [literal, rest @ ..] => {
                text.split_first().is_some_and(|(first, text)| first == literal && walk(rest, text))
            }
        }
    }
    if !pattern.contains(['*', '?', '\\']) {
        return pattern == text;
    }
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    walk(&pattern, &text)
}

/// How many results a page may have.
#[derive(Debug, Clone, Copy)]
pub struct PageSize {
    pub min: usize,
    pub max: usize,
}

/// The usual bounds.
pub const PAGES: PageSize = PageSize { min: 5, max: 1000 };

/// Cuts one page out of sorted keyed results. The second part is the token for the next.
pub fn page<T>(query: &Query, size: PageSize, results: Vec<(String, T)>) -> Result<(Vec<T>, Option<String>), ApiError> {
    let limit = match query.int("MaxResults")? {
        None | Some(0) => size.max,
        Some(asked) => {
            usize::try_from(asked).ok().filter(|limit| (size.min..=size.max).contains(limit)).ok_or_else(|| {
                ApiError::invalid_value(format!(
                    "Value ( {asked} ) for parameter maxResults is invalid. Expecting a value between {} and {}.",
                    size.min, size.max
                ))
            })?
        }
    };
    let after = match query.get("NextToken").filter(|token| !token.is_empty()) {
        None => None,
        Some(token) => {
            let decoded = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let bad = || ApiError::new("InvalidNextToken", "The provided next token is invalid or has expired.");
            Some(decoded.ok_or_else(bad)?)
        }
    };
    let mut rest = results.into_iter().filter(|(key, _)| after.as_ref().is_none_or(|after| key > after)).peekable();
    let mut last = None;
    let mut taken = Vec::new();
    while taken.len() < limit {
        let Some((key, item)) = rest.next() else { break };
        last = Some(key);
        taken.push(item);
    }
    let token = rest.peek().and(last).map(|key| URL_SAFE_NO_PAD.encode(key));
    Ok((taken, token))
}

/// A whole Describe action for one kind of resource.
pub fn describe<T: Noun>(
    world: &World,
    query: &Query,
    ids: &str,
    set: &str,
    values: impl Fn(&T, &str) -> FilterValues,
    render: impl Fn(&T) -> Xml,
) -> Result<Body, ApiError> {
    describe_sized(world, query, ids, set, PAGES, values, render)
}

/// The same with other bounds of the page.
pub fn describe_sized<T: Noun>(
    world: &World,
    query: &Query,
    ids: &str,
    set: &str,
    size: PageSize,
    values: impl Fn(&T, &str) -> FilterValues,
    render: impl Fn(&T) -> Xml,
) -> Result<Body, ApiError> {
    let chosen = select(world, query, ids, values)?;
    let keyed = chosen.into_iter().map(|resource| (resource.id().to_owned(), resource)).collect();
    let (page, token) = page(query, size, keyed)?;
    let answer = Xml::new().items(set, page.into_iter().map(render)).opt("nextToken", token);
    Ok(Body::Xml(answer))
}

/// The resources that a Describe request means, by identifier.
pub fn select<'a, T: Noun>(
    world: &'a World,
    query: &Query,
    ids: &str,
    values: impl Fn(&T, &str) -> FilterValues,
) -> Result<Vec<&'a T>, ApiError> {
    let filters = Filters::parse(query)?;
    let part = T::items(world.seen());
    let asked = query.list(ids);
    for id in &asked {
        T::KIND.check(id)?;
        if !part.contains_key(id) {
            return Err(T::KIND.not_found(id));
        }
    }
    let mut chosen = Vec::new();
    for resource in part.values() {
        if !asked.is_empty() && !asked.contains(&resource.id()) {
            continue;
        }
        if filters.accept(resource.tags(), |name| values(resource, name))? {
            chosen.push(resource);
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_ec2_says() {
        let cases = [
            ("al2023-ami-*-arm64", "al2023-ami-2023.1-kernel-6.1-arm64", true),
            ("al2023-ami-*-arm64", "al2023-ami-2023.1-kernel-6.1-x86_64", false),
            ("eth?", "eth0", true),
            ("eth?", "eth10", false),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("*", "", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn pages_cover_everything_once() {
        let results: Vec<_> = (0..12).map(|n| (format!("id-{n:02}"), n)).collect();
        let mut seen = Vec::new();
        let mut token = None;
        loop {
            let mut pairs = vec![("MaxResults".to_owned(), "5".to_owned())];
            pairs.extend(token.map(|token| ("NextToken".to_owned(), token)));
            let (items, next) = page(&pairs.into_iter().collect(), PAGES, results.clone()).unwrap();
            seen.extend(items);
            token = next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, (0..12).collect::<Vec<_>>());
        let small: Query = [("MaxResults", "4")].into_iter().collect();
        assert_eq!(page(&small, PAGES, results).unwrap_err().code, "InvalidParameterValue");
    }
}
