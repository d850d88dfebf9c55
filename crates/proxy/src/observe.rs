//! Reads a copy of the answer while it passes.
//!
//! In: the bytes of a response body, as they came, compressed or not. Out: what they tell, and their
//! start where the history keeps it. It returns nothing while they pass, so it cannot harm the stream;
//! what it keeps is bounded.

use std::io::{self, Write};

use http::{HeaderMap, header};
use relay_core::record::{KeptBody, Observation};
use relay_core::sse::{StreamFacts, StreamReader};
use relay_core::usage::{MessageFacts, Usage};

/// Longest JSON answer that is read. Anthropic's longest output is below half of this.
const JSON_LIMIT_BYTES: usize = 1024 * 1024;

/// What an answer told.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// For a stream.
    pub(crate) stream: Option<StreamFacts>,
    /// For a JSON answer.
    pub(crate) message: MessageFacts,
    /// Whether it could be read.
    pub(crate) unreadable: bool,
    /// The answer itself, as far as it is kept.
    pub(crate) body: KeptBody,
}

impl Seen {
    pub(crate) fn observation(&self) -> Observation {
        let unread = self.stream.as_ref().is_some_and(|facts| facts.unread > 0);
        if self.unreadable || unread {
            Observation::Unreadable
        } else {
            Observation::Read
        }
    }
}

/// Watches one answer.
#[derive(Debug)]
pub(crate) struct Observer(Decoder);

/// The content encodings that Claude Code offers: `gzip, deflate, br, zstd`.
enum Decoder {
    Nothing,
    Plain(Box<Reader>),
    Gzip(Box<flate2::write::MultiGzDecoder<Reader>>),
    Deflate(Box<flate2::write::ZlibDecoder<Reader>>),
    Brotli(Box<brotli_decompressor::DecompressorWriter<Reader>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Reader>>),
    /// An encoding that is not known, or bytes that are not in it.
    Failed {
        stream: bool,
    },
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Plain(_) => "Plain",
            Self::Gzip(_) => "Gzip",
            Self::Deflate(_) => "Deflate",
            Self::Brotli(_) => "Brotli",
            Self::Zstd(_) => "Zstd",
            Self::Failed { .. } => "Failed",
        })
    }
}

/// Reads an answer that is decompressed.
#[derive(Debug)]
struct Reader {
    text: Text,
    copy: Copy,
}

#[derive(Debug)]
enum Text {
    Stream(Box<StreamReader>),
    Json { kept: Vec<u8>, overflowed: bool },
}

/// The start of an answer, for the history.
#[derive(Debug, Default)]
struct Copy {
    limit: usize,
    start: Vec<u8>,
    whole_bytes: u64,
}

impl Copy {
    fn push(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.start.len());
        self.start
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.whole_bytes = self.whole_bytes.saturating_add(length);
    }
}

impl From<Copy> for KeptBody {
    fn from(copy: Copy) -> Self {
        Self {
            start: copy.start.into(),
            whole_bytes: copy.whole_bytes,
        }
    }
}

impl Reader {
    fn push(&mut self, bytes: &[u8]) {
        if self.copy.limit > 0 {
            self.copy.push(bytes);
        }
        match &mut self.text {
            Text::Stream(reader) => reader.push(bytes),
            Text::Json { kept, overflowed } => {
                if kept.len().saturating_add(bytes.len()) > JSON_LIMIT_BYTES {
                    *overflowed = true;
                    *kept = Vec::new();
                } else if !*overflowed {
                    kept.extend_from_slice(bytes);
                }
            }
        }
    }

    fn seen(self) -> Seen {
        let body = self.copy.into();
        match self.text {
            Text::Stream(reader) => Seen {
                stream: Some(reader.into_facts()),
                body,
                ..Seen::default()
            },
            Text::Json { kept, overflowed } => {
                let message = Usage::of_message(&kept).filter(|_| !overflowed);
                Seen {
                    unreadable: message.is_none(),
                    message: message.unwrap_or_default(),
                    body,
                    ..Seen::default()
                }
            }
        }
    }
}

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The window that every decoder must offer, and no encoder should exceed: 8 MiB (RFC 8878 §3.1.1.1.2).
const ZSTD_WINDOW_LOG: u32 = 23;

fn zstd_decoder(reader: Reader) -> Option<Box<zstd::stream::write::Decoder<'static, Reader>>> {
    let mut decoder = zstd::stream::write::Decoder::new(reader).ok()?;
    decoder.window_log_max(ZSTD_WINDOW_LOG).ok()?;
    Some(Box::new(decoder))
}

/// Tells whether a response is an event stream.
pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    has_content_type(headers, b"text/event-stream")
}

fn has_content_type(headers: &HeaderMap, wanted: &[u8]) -> bool {
    let value = headers
        .get(header::CONTENT_TYPE)
        .map(http::HeaderValue::as_bytes);
    let essence = value.and_then(|value| value.split(|byte| *byte == b';').next());
    essence.is_some_and(|essence| essence.trim_ascii().eq_ignore_ascii_case(wanted))
}

impl Observer {
    /// Watches an answer with these headers: an event stream, JSON, or (anything else) nothing. Keeps
    /// so many bytes of it.
    pub(crate) fn of(headers: &HeaderMap, kept_bytes: usize) -> Self {
        let stream = is_event_stream(headers);
        let text = if stream {
            Text::Stream(Box::default())
        } else if has_content_type(headers, b"application/json") {
            Text::Json {
                kept: Vec::new(),
                overflowed: false,
            }
        } else {
            return Self(Decoder::Nothing);
        };
        let copy = Copy {
            limit: kept_bytes,
            ..Copy::default()
        };
        let reader = Reader { text, copy };
        let encoding = headers
            .get(header::CONTENT_ENCODING)
            .map(http::HeaderValue::as_bytes);
        Self(match encoding.map(<[u8]>::trim_ascii) {
            None | Some(b"identity") => Decoder::Plain(Box::new(reader)),
            Some(b"gzip" | b"x-gzip") => {
                Decoder::Gzip(Box::new(flate2::write::MultiGzDecoder::new(reader)))
            }
            Some(b"deflate") => Decoder::Deflate(Box::new(flate2::write::ZlibDecoder::new(reader))),
            Some(b"br") => Decoder::Brotli(Box::new(brotli_decompressor::DecompressorWriter::new(
                reader,
                8 * 1024,
            ))),
            Some(b"zstd") => zstd_decoder(reader).map_or(Decoder::Failed { stream }, Decoder::Zstd),
            Some(_) => Decoder::Failed { stream },
        })
    }

    /// Takes the next bytes.
    pub(crate) fn chunk(&mut self, bytes: &[u8]) {
        let decoded = match &mut self.0 {
            Decoder::Nothing | Decoder::Failed { .. } => return,
            Decoder::Plain(reader) => return reader.push(bytes),
            Decoder::Gzip(decoder) => decoder.write_all(bytes).and_then(|()| decoder.flush()),
            Decoder::Deflate(decoder) => decoder.write_all(bytes).and_then(|()| decoder.flush()),
            Decoder::Brotli(decoder) => decoder.write_all(bytes).and_then(|()| decoder.flush()),
            Decoder::Zstd(decoder) => decoder.write_all(bytes).and_then(|()| decoder.flush()),
        };
        if decoded.is_err() {
            let stream = self.stream_facts().is_some();
            self.0 = Decoder::Failed { stream };
        }
    }

    /// Returns what a stream has shown so far; `None` for anything that is no readable stream.
    pub(crate) fn stream_facts(&self) -> Option<&StreamFacts> {
        match &self.reader()?.text {
            Text::Stream(reader) => Some(reader.facts()),
            Text::Json { .. } => None,
        }
    }

    /// Returns what has come of a JSON answer, decoded; empty for anything else.
    pub(crate) fn json(&self) -> &[u8] {
        match self.reader().map(|reader| &reader.text) {
            Some(Text::Json { kept, .. }) => kept,
            Some(Text::Stream(_)) | None => &[],
        }
    }

    fn reader(&self) -> Option<&Reader> {
        match &self.0 {
            Decoder::Plain(reader) => Some(reader),
            Decoder::Gzip(decoder) => Some(decoder.get_ref()),
            Decoder::Deflate(decoder) => Some(decoder.get_ref()),
            Decoder::Brotli(decoder) => Some(decoder.get_ref()),
            Decoder::Zstd(decoder) => Some(decoder.get_ref()),
            Decoder::Nothing | Decoder::Failed { .. } => None,
        }
    }

    /// Ends the watch.
    pub(crate) fn end(self) -> Option<Seen> {
        let reader = match self.0 {
            Decoder::Nothing => return None,
            Decoder::Failed { stream } => {
                let stream = stream.then(StreamFacts::default);
                return Some(Seen {
                    stream,
                    unreadable: true,
                    ..Seen::default()
                });
            }
            Decoder::Plain(reader) => Some(*reader),
            Decoder::Gzip(decoder) => decoder.finish().ok(),
            Decoder::Deflate(decoder) => decoder.finish().ok(),
            Decoder::Brotli(decoder) => decoder.into_inner().ok(),
            Decoder::Zstd(mut decoder) => {
                drop(decoder.flush());
                Some(decoder.into_inner())
            }
        };
        let cut = || Seen {
            unreadable: true,
            ..Seen::default()
        };
        Some(reader.map_or_else(cut, Reader::seen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: usize = 20;
    const STREAM: &str = "event: message_start\ndata: {\"message\":{\"usage\":{\"input_tokens\":7}}}\n\nevent: message_stop\ndata: {}\n\n";

    fn observer(content_type: &'static str, encoding: Option<&'static str>) -> Observer {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            http::HeaderValue::from_static(content_type),
        );
        if let Some(encoding) = encoding {
            headers.insert(
                header::CONTENT_ENCODING,
                http::HeaderValue::from_static(encoding),
            );
        }
        Observer::of(&headers, KEPT)
    }

    fn compressed(encoding: &str, text: &[u8]) -> Vec<u8> {
        use flate2::Compression;
        match encoding {
            "gzip" => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            "deflate" => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            "zstd" => zstd::stream::encode_all(text, 1).unwrap(),
            _ => text.to_vec(),
        }
    }

    #[test]
    fn reads_each_encoding_byte_by_byte() {
        for encoding in ["gzip", "deflate", "zstd", "identity"] {
            let mut observer = observer("text/event-stream; charset=utf-8", Some(encoding));
            for byte in compressed(encoding, STREAM.as_bytes()) {
                observer.chunk(&[byte]);
            }
            assert!(observer.stream_facts().unwrap().stopped, "{encoding}");
            let seen = observer.end().unwrap();
            assert_eq!(seen.observation(), Observation::Read, "{encoding}");
            assert_eq!(
                seen.stream.unwrap().usage.input_tokens,
                Some(7),
                "{encoding}"
            );
            assert_eq!(seen.body.start, STREAM.as_bytes()[..KEPT], "{encoding}");
            assert_eq!(seen.body.whole_bytes, STREAM.len() as u64, "{encoding}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said_to_be_so() {
        for encoding in ["gzip", "deflate", "br", "zstd", "compress"] {
            let mut observer = observer("text/event-stream", Some(encoding));
            observer.chunk(b"\xff\xff\xff\xffthis is not what the header says");
            assert_eq!(
                observer.end().unwrap().observation(),
                Observation::Unreadable,
                "{encoding}"
            );
        }
        let mut long = observer("application/json", None);
        for _ in 0..40 {
            long.chunk(&vec![b' '; 64 * 1024]);
        }
        assert_eq!(long.end().unwrap().observation(), Observation::Unreadable);
    }

    #[test]
    fn what_is_neither_stream_nor_json_is_not_read() {
        let mut observer = observer("application/octet-stream", None);
        observer.chunk(b"x");
        assert!(observer.end().is_none());
    }
}
