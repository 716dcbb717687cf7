//! A small XML tree, written with quick-xml. Actions build it field by field, in the order of AWS's model.

use std::fmt::Display;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use serde::{Deserialize, Serialize};

/// The members of an element, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Xml(Vec<(String, Content)>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Members(Xml),
}

impl Xml {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A member with text.
    #[must_use]
    pub fn text(mut self, name: &str, value: impl Display) -> Self {
        self.0.push((name.to_owned(), Content::Text(value.to_string())));
        self
    }

    /// A member with text, when there is any.
    #[must_use]
    pub fn opt(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// A member that is a structure.
    #[must_use]
    pub fn node(mut self, name: &str, members: Self) -> Self {
        self.0.push((name.to_owned(), Content::Members(members)));
        self
    }

    /// A member that is a structure, when there is one.
    #[must_use]
    pub fn opt_node(self, name: &str, members: Option<Self>) -> Self {
        match members {
            Some(members) => self.node(name, members),
            None => self,
        }
    }

    /// EC2's lists of structures: `<name><item>…</item></name>`.
    #[must_use]
    pub fn items(self, name: &str, items: impl IntoIterator<Item = Self>) -> Self {
        self.list(name, "item", items)
    }

    /// EC2's lists of plain values.
    #[must_use]
    pub fn values<T: Display>(self, name: &str, values: impl IntoIterator<Item = T>) -> Self {
        self.named_values(name, "item", values)
    }

    /// A list of plain values whose entries have a name of their own.
    #[must_use]
    pub fn named_values<T: Display>(self, name: &str, entry: &str, values: impl IntoIterator<Item = T>) -> Self {
        let members = values.into_iter().map(|value| (entry.to_owned(), Content::Text(value.to_string()))).collect();
        self.node(name, Self(members))
    }

    /// A list whose entries have a name of their own: IAM's `member`.
    #[must_use]
    pub fn list(self, name: &str, entry: &str, items: impl IntoIterator<Item = Self>) -> Self {
        let members = items.into_iter().map(|item| (entry.to_owned(), Content::Members(item))).collect();
        self.node(name, Self(members))
    }

    /// These members followed by others.
    #[must_use]
    pub fn append(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The text at a path of member names, `item` standing for the first entry of a list. For tests and tools.
    pub fn find(&self, path: &str) -> Option<&str> {
        let (first, rest) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let (_, content) = self.0.iter().find(|(name, _)| name == first)?;
        match (content, rest) {
            (Content::Text(text), None) => Some(text),
            (Content::Members(members), Some(rest)) => members.find(rest),
            (Content::Text(_), Some(_)) | (Content::Members(_), None) => None,
        }
    }

    /// The entries of the list that is the member `name`.
    pub fn entries(&self, name: &str) -> Vec<&Self> {
        self.0
            .iter()
            .filter(|(key, _)| key == name)
            .filter_map(|(_, content)| match content {
                Content::Members(list) => Some(list),
                Content::Text(_) => None,
            })
            .flat_map(|list| &list.0)
            .filter_map(|(_, content)| match content {
                Content::Members(entry) => Some(entry),
                Content::Text(_) => None,
            })
            .collect()
    }
}

/// A whole document: declaration, root element with its namespace, members.
pub fn document(root: &str, namespace: Option<&str>, members: &Xml) -> String {
    let mut writer = Writer::new(Vec::with_capacity(4096));
    // Writing into a Vec cannot fail; should quick-xml ever disagree, the client sees a document cut short.
    let _written = write_document(&mut writer, root, namespace, members);
    String::from_utf8_lossy(&writer.into_inner()).into_owned()
}

fn write_document(
    writer: &mut Writer<Vec<u8>>,
    root: &str,
    namespace: Option<&str>,
    members: &Xml,
) -> std::io::Result<()> {
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let mut start = BytesStart::new(root);
    if let Some(namespace) = namespace {
        start.push_attribute(("xmlns", namespace));
    }
    writer.write_event(Event::Start(start))?;
    write_members(writer, members)?;
    writer.write_event(Event::End(BytesEnd::new(root)))
}

fn write_members(writer: &mut Writer<Vec<u8>>, members: &Xml) -> std::io::Result<()> {
    for (name, content) in &members.0 {
        match content {
            Content::Text(text) => {
                writer.write_event(Event::Start(BytesStart::new(name)))?;
                writer.write_event(Event::Text(BytesText::new(&printable(text))))?;
                writer.write_event(Event::End(BytesEnd::new(name)))?;
            }
            Content::Members(inner) if inner.is_empty() => writer.write_event(Event::Empty(BytesStart::new(name)))?,
            Content::Members(inner) => {
                writer.write_event(Event::Start(BytesStart::new(name)))?;
                write_members(writer, inner)?;
                writer.write_event(Event::End(BytesEnd::new(name)))?;
            }
        }
    }
    Ok(())
}

/// XML 1.0 has no way to write most control characters, not even escaped.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_typed_cannot_break_the_document() {
        let xml = Xml::new().text("value", "<a href=\"x\">&amp; ]]>\u{1}</a>");
        let text = document("R", None, &xml);
        assert!(
            text.ends_with("<R><value>&lt;a href=&quot;x&quot;&gt;&amp;amp; ]]&gt;&lt;/a&gt;</value></R>"),
            "{text}"
        );
    }

    #[test]
    fn an_empty_list_is_an_empty_element() {
        let text = document("R", Some("urn:x"), &Xml::new().items("tagSet", []));
        assert!(text.ends_with(r#"<R xmlns="urn:x"><tagSet/></R>"#), "{text}");
    }
}
