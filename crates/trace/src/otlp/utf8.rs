//! Texts of a message that are not UTF-8, made so.
//!
//! Protobuf demands UTF-8, and a decoder refuses a whole message for one wrong byte in it. A sender that cut a text in the
//! middle of a character would lose all spans of its batch. So where decoding fails, each wrong byte in a text becomes a
//! question mark, which leaves every length as it was, and the message is decoded once more.

use crate::otlp::Signal;

/// What a field holds.
#[derive(Clone, Copy)]
enum Held {
    Text,
    Message(Fields),
    Other,
}

/// The fields of a message by their numbers, as the `.proto` files have them.
type Fields = fn(u32) -> Held;

/// Messages within messages are followed this deep; the decoder itself goes to 100.
const MOST_DEPTH: u8 = 100;

/// `ResourceSpans` and its like, whose records are of this kind.
macro_rules! of_resource {
    ($record:ident) => {
        |field| match field {
            1 => Held::Message(resource),
            2 => Held::Message(|field| match field {
                1 => Held::Message(scope),
                2 => Held::Message($record),
                3 => Held::Text,
                _ => Held::Other,
            }),
            3 => Held::Text,
            _ => Held::Other,
        }
    };
}

/// Repairs an export request of a signal.
pub(crate) fn repair(message: &mut [u8], signal: Signal) {
    let request: Fields = match signal {
        Signal::Traces => |field| if field == 1 { Held::Message(of_resource!(span)) } else { Held::Other },
        Signal::Logs => |field| if field == 1 { Held::Message(of_resource!(log_record)) } else { Held::Other },
        Signal::Metrics => |field| if field == 1 { Held::Message(of_resource!(metric)) } else { Held::Other },
    };
    // What is not understood is the decoder's to refuse.
    let _ = walk(message, request, 0);
}

fn walk(message: &mut [u8], fields: Fields, depth: u8) -> Option<()> {
    let mut at = 0;
    while at < message.len() {
        let tag = varint(message, &mut at)?;
        match tag & 7 {
            0 => {
                varint(message, &mut at)?;
            }
            1 => at = at.checked_add(8)?,
            5 => at = at.checked_add(4)?,
            2 => {
                let length = usize::try_from(varint(message, &mut at)?).ok()?;
                let end = at.checked_add(length)?;
                let part = message.get_mut(at..end)?;
                match fields(u32::try_from(tag >> 3).ok()?) {
                    Held::Text => mend(part),
                    Held::Message(inner) if depth < MOST_DEPTH => walk(part, inner, depth + 1).unwrap_or_default(),
                    Held::Message(_) | Held::Other => {}
                }
                at = end;
            }
            _ => return None,
        }
    }
    Some(())
}

fn varint(message: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *message.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Puts a question mark in the place of each byte that is part of no character.
fn mend(text: &mut [u8]) {
    let mut from = 0;
    while let Err(error) = std::str::from_utf8(&text[from..]) {
        let wrong = from + error.valid_up_to();
        let length = error.error_len().unwrap_or(text.len() - wrong);
        text[wrong..wrong + length].fill(b'?');
        from = wrong + length;
    }
}

fn resource(field: u32) -> Held {
    if field == 1 { Held::Message(key_value) } else { Held::Other }
}

fn scope(field: u32) -> Held {
    match field {
        1 | 2 => Held::Text,
        3 => Held::Message(key_value),
        _ => Held::Other,
    }
}

fn span(field: u32) -> Held {
    match field {
        3 | 5 => Held::Text,
        9 => Held::Message(key_value),
        11 => Held::Message(event),
        13 => Held::Message(link),
        15 => Held::Message(status),
        _ => Held::Other,
    }
}

fn event(field: u32) -> Held {
    match field {
        2 => Held::Text,
        3 => Held::Message(key_value),
        _ => Held::Other,
    }
}

fn link(field: u32) -> Held {
    match field {
        3 => Held::Text,
        4 => Held::Message(key_value),
        _ => Held::Other,
    }
}

fn status(field: u32) -> Held {
    if field == 2 { Held::Text } else { Held::Other }
}

fn log_record(field: u32) -> Held {
    match field {
        3 | 12 => Held::Text,
        5 => Held::Message(any_value),
        6 => Held::Message(key_value),
        _ => Held::Other,
    }
}

fn metric(field: u32) -> Held {
    match field {
        1..=3 => Held::Text,
        // Gauge and sum, whose points have their attributes under 7; so has a summary.
        5 | 7 | 11 => {
            Held::Message(|field| if field == 1 { Held::Message(|field| pairs_under(7, field)) } else { Held::Other })
        }
        9 => Held::Message(|field| if field == 1 { Held::Message(|field| pairs_under(9, field)) } else { Held::Other }),
        10 => {
            Held::Message(|field| if field == 1 { Held::Message(|field| pairs_under(1, field)) } else { Held::Other })
        }
        12 => Held::Message(key_value),
        _ => Held::Other,
    }
}

fn pairs_under(place: u32, field: u32) -> Held {
    if field == place { Held::Message(key_value) } else { Held::Other }
}

fn key_value(field: u32) -> Held {
    match field {
        1 => Held::Text,
        2 => Held::Message(any_value),
        _ => Held::Other,
    }
}

fn any_value(field: u32) -> Held {
    match field {
        1 => Held::Text,
        5 => Held::Message(|field| if field == 1 { Held::Message(any_value) } else { Held::Other }),
        6 => Held::Message(|field| if field == 1 { Held::Message(key_value) } else { Held::Other }),
        _ => Held::Other,
    }
}
