//! User data as cloud-init takes it apart: gzip, MIME multi-part, scripts, cloud-config, boothooks. Pure.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use serde_json::Value;

/// The most that user data may unpack to, in bytes: EC2 takes 16 KiB, and a gzip bomb must not fill the memory.
const LARGEST: u64 = 1 << 20;
/// MIME parts in MIME parts.
const DEEPEST: u32 = 3;

/// One piece of user data.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    Script {
        name: String,
        text: String,
    },
    CloudConfig(Value),
    /// Runs at every boot, before anything else.
    Boothook(String),
    /// Nothing that cloud-init knows, or a cloud-config that is not YAML: what its log says.
    Unusable(String),
}

/// Takes user data apart. Never fails: what cannot be used says so.
pub(super) fn parts(data: &[u8]) -> Vec<Part> {
    let mut found = Vec::new();
    collect(data, None, None, 0, &mut found);
    found
}

fn collect(data: &[u8], kind: Option<&str>, name: Option<&str>, depth: u32, found: &mut Vec<Part>) {
    if data.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = Vec::new();
        // What is damaged ends early; the rest is used, as cloud-init would fail later on it.
        let read = MultiGzDecoder::new(data).take(LARGEST).read_to_end(&mut unpacked);
        match read {
            Ok(_) if depth < DEEPEST => collect(&unpacked, kind, name, depth + 1, found),
            _ => found.push(Part::Unusable("user data is not valid gzip".to_owned())),
        }
        return;
    }
    let text = String::from_utf8_lossy(data).into_owned();
    if text.trim().is_empty() {
        return;
    }
    if depth < DEEPEST
        && let Some(inner) = multipart(&text)
    {
        for piece in inner {
            let name = piece.filename.as_deref();
            collect(&piece.body, Some(&piece.kind), name, depth + 1, found);
        }
        return;
    }
    let text = text.trim_start_matches('\u{feff}').to_owned();
    let first = text.lines().next().unwrap_or_default().to_owned();
    // The first line is believed before the part's own type, as cloud-init does for text/plain.
    let kind = match () {
        () if first.starts_with("#!") => "text/x-shellscript",
        () if first.starts_with("#cloud-config") => "text/cloud-config",
        () if first.starts_with("#cloud-boothook") => "text/cloud-boothook",
        () => kind.unwrap_or_default(),
    };
    match kind {
        "text/x-shellscript" => {
            let name = name.map_or_else(|| format!("part-{:03}", found.len() + 1), str::to_owned);
            found.push(Part::Script { name: name.replace('/', "_"), text });
        }
        "text/cloud-config" => found.push(match serde_saphyr::from_str::<Value>(&text) {
            Ok(config @ Value::Object(_)) => Part::CloudConfig(config),
            Ok(Value::Null) => return,
            Ok(_) => {
                Part::Unusable("Failed loading yaml blob. Yaml load allows (<class 'dict'>,) root types".to_owned())
            }
            Err(error) => {
                let reason = error.to_string();
                let line = reason.lines().next().unwrap_or_default();
                Part::Unusable(format!("Failed loading yaml blob. Invalid format: {line}"))
            }
        }),
        "text/cloud-boothook" => {
            let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
            let script = if rest.starts_with("#!") { rest.to_owned() } else { format!("#!/bin/sh\n{rest}") };
            found.push(Part::Boothook(script));
        }
        _ => found
            .push(Part::Unusable(format!("Unhandled non-multipart (text/x-not-multipart) userdata: 'b'{first}'...'"))),
    }
}

struct Piece {
    kind: String,
    filename: Option<String>,
    body: Vec<u8>,
}

/// The parts of a MIME document. `None`: it is none.
fn multipart(text: &str) -> Option<Vec<Piece>> {
    let (headers, body) = headers(text)?;
    let kind = header(&headers, "content-type")?;
    if !kind.to_ascii_lowercase().starts_with("multipart/") {
        return None;
    }
    let boundary = format!("--{}", parameter(kind, "boundary")?);
    let mut pieces = Vec::new();
    let mut current: Option<String> = None;
    for line in body.split_inclusive('\n') {
        let bare = line.trim_end();
        if let Some(rest) = bare.strip_prefix(boundary.as_str()).filter(|rest| rest.is_empty() || *rest == "--") {
            pieces.extend(current.take());
            if rest == "--" {
                break;
            }
            current = Some(String::new());
        } else if let Some(piece) = &mut current {
            piece.push_str(line);
        }
    }
    pieces.extend(current);
    Some(pieces.iter().filter_map(|piece| read_piece(piece)).collect())
}

fn read_piece(text: &str) -> Option<Piece> {
    let text = text.trim_start_matches(['\r', '\n']);
    let (headers, body) = headers(text).unwrap_or((Vec::new(), text));
    let kind = header(&headers, "content-type").unwrap_or("text/plain");
    if kind.to_ascii_lowercase().starts_with("multipart/") {
        return Some(Piece { kind: kind.to_owned(), filename: None, body: text.as_bytes().to_vec() });
    }
    let filename = header(&headers, "content-disposition").and_then(|value| parameter(value, "filename"));
    let encoding = header(&headers, "content-transfer-encoding").unwrap_or("7bit").to_ascii_lowercase();
    let body = match encoding.as_str() {
        "base64" => STANDARD.decode(body.split_whitespace().collect::<String>()).ok()?,
        _ => body.replace("\r\n", "\n").into_bytes(),
    };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    Some(Piece { kind, filename: filename.map(str::to_owned), body })
}

type Headers = Vec<(String, String)>;

/// Header lines up to the first empty one, and what follows. `None`: the text does not begin with headers.
fn headers(text: &str) -> Option<(Headers, &str)> {
    let mut headers: Headers = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        at += line.len();
        let bare = line.trim_end();
        if bare.is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) {
            headers.last_mut()?.1.push_str(bare);
            continue;
        }
        let (name, value) = bare.split_once(':')?;
        if name.contains(char::is_whitespace) || name.starts_with('#') {
            return None;
        }
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    (!headers.is_empty()).then(|| (headers, text.get(at..).unwrap_or_default()))
}

fn header<'h>(headers: &'h Headers, name: &str) -> Option<&'h str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// `boundary="x"` of a header's value.
fn parameter<'v>(value: &'v str, name: &str) -> Option<&'v str> {
    value.split(';').skip(1).find_map(|pair| {
        let (known, value) = pair.split_once('=')?;
        known.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// The bytes of a file that `write_files` describes.
pub(super) fn decoded(content: &str, encoding: &str) -> Option<Vec<u8>> {
    let unzip = |bytes: &[u8]| {
        let mut unpacked = Vec::new();
        MultiGzDecoder::new(bytes).take(LARGEST).read_to_end(&mut unpacked).ok().map(|_| unpacked)
    };
    let unbase = |text: &str| STANDARD.decode(text.split_whitespace().collect::<String>()).ok();
    match encoding.to_ascii_lowercase().as_str() {
        "" | "text/plain" => Some(content.as_bytes().to_vec()),
        "b64" | "base64" => unbase(content),
        "gz" | "gzip" => unzip(content.as_bytes()),
        "gz+base64" | "gzip+base64" | "gz+b64" | "gzip+b64" => unzip(&unbase(content)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const MIME: &str = "Content-Type: multipart/mixed; boundary=\"//\"\nMIME-Version: 1.0\n\n--//\nContent-Type: \
        text/cloud-config; charset=\"us-ascii\"\nMIME-Version: 1.0\nContent-Transfer-Encoding: \
        7bit\nContent-Disposition: attachment; filename=\"cloud-config.txt\"\n\n#cloud-config\ncloud_final_modules:\n- \
        [scripts-user, always]\n\n--//\nContent-Type: text/x-shellscript; charset=\"us-ascii\"\nContent-Transfer-Encoding: \
        base64\nContent-Disposition: attachment; filename=\"userdata.txt\"\n\nIyEvYmluL2Jhc2gKZWNobyBoaQo=\n--//--\n";

    #[test]
    fn mime_parts_are_told_apart_and_decoded() {
        let found = parts(MIME.as_bytes());
        assert_eq!(found.len(), 2);
        assert!(matches!(&found[0], Part::CloudConfig(config) if config["cloud_final_modules"][0][1] == "always"));
        let script = Part::Script { name: "userdata.txt".to_owned(), text: "#!/bin/bash\necho hi\n".to_owned() };
        assert_eq!(found[1], script);
    }

    #[test]
    fn gzip_is_unpacked_and_what_is_broken_says_so() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(MIME.as_bytes()).unwrap();
        let packed = gzip.finish().unwrap();
        assert_eq!(parts(&packed), parts(MIME.as_bytes()));
        for broken in [&packed[..10], b"#cloud-config\n: : [", b"echo hello"] {
            assert!(matches!(parts(broken)[..], [Part::Unusable(_)]), "{broken:?}");
        }
    }

    #[test]
    fn a_file_comes_in_every_encoding() {
        assert_eq!(decoded("aGk=\n", "b64").unwrap(), b"hi");
        assert_eq!(decoded("hi", "").unwrap(), b"hi");
        assert_eq!(decoded("?", "base64"), None);
    }
}
