//! Server-sent events, read from parts of any length. Only their data matters: both providers repeat the kind of an event in it.

/// Largest event, bytes.
const EVENT_BYTES: usize = 4 << 20;

/// Reads a stream of events.
#[derive(Default)]
pub struct SseParser {
    /// The line that has begun.
    line: Vec<u8>,
    /// Whether the last byte was a carriage return: a line feed after it ends no second line.
    is_after_return: bool,
    /// Lines of data of the event that has begun.
    data: Option<String>,
}

/// An event is longer than the maximum.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLong;

impl SseParser {
    /// Reads the next bytes; returns the data of the events that they complete.
    ///
    /// # Errors
    /// An event is longer than 4 MiB.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, TooLong> {
        let mut complete = vec![];
        for byte in bytes {
            match byte {
                b'\n' if self.is_after_return => self.is_after_return = false,
                b'\n' | b'\r' => {
                    self.is_after_return = *byte == b'\r';
                    complete.extend(self.end_line());
                }
                other => {
                    self.is_after_return = false;
                    self.line.push(*other);
                }
            }
            if self.line.len() + self.data.as_ref().map_or(0, String::len) > EVENT_BYTES {
                return Err(TooLong);
            }
        }
        Ok(complete)
    }

    /// Ends a line; an empty one ends the event.
    fn end_line(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.data.take();
        }
        let line = String::from_utf8_lossy(&line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        if field == "data" {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_however_their_bytes_are_split() {
        let stream = "event: a\ndata: {\"x\":1}\n\n: a comment\r\ndata:zwei é\r\ndata: lines\r\n\r\nid: 3\n\ndata: [DONE]\n\ndata: left";
        let expected = ["{\"x\":1}", "zwei é\nlines", "[DONE]"];
        for size in 1..=stream.len() {
            let mut parser = SseParser::default();
            let parts = stream.as_bytes().chunks(size);
            let found: Vec<String> = parts.flat_map(|part| parser.push(part).unwrap()).collect();
            assert_eq!(found, expected, "{size} bytes at a time");
        }
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut parser = SseParser::default();
        let part = vec![b'x'; 1 << 20];
        assert!((0..4).all(|_| parser.push(&part).is_ok()));
        assert_eq!(parser.push(&part), Err(TooLong));
    }
}
