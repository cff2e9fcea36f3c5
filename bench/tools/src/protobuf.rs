//! Just enough of protobuf's wire format to write OTLP without reading it: the decoder under test is another's.
//!
//! Source: protobuf.dev, "Encoding".

/// Field `number` holding bytes.
pub(crate) fn bytes(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    tag(out, number, 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Field `number` holding text.
pub(crate) fn text(out: &mut Vec<u8>, number: u32, value: &str) {
    bytes(out, number, value.as_bytes());
}

/// Field `number` holding a whole number.
pub(crate) fn int(out: &mut Vec<u8>, number: u32, value: u64) {
    tag(out, number, 0);
    varint(out, value);
}

/// Field `number` holding eight bytes.
pub(crate) fn fixed64(out: &mut Vec<u8>, number: u32, value: u64) {
    tag(out, number, 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Field `number` holding a number.
pub(crate) fn double(out: &mut Vec<u8>, number: u32, value: f64) {
    fixed64(out, number, value.to_bits());
}

/// Field `number` holding the message that `build` writes.
pub(crate) fn nested(out: &mut Vec<u8>, number: u32, build: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    build(out);
    // The length stands before the message and is known after it.
    let mut head = Vec::with_capacity(8);
    tag(&mut head, number, 2);
    varint(&mut head, (out.len() - begin) as u64);
    out.splice(begin..begin, head);
}

fn tag(out: &mut Vec<u8>, number: u32, wire_type: u64) {
    varint(out, u64::from(number) << 3 | wire_type);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked examples of protobuf.dev: `a = 150`, `b = "testing"`, and the first as field 3 of another message.
    #[test]
    fn bytes_are_those_of_the_specification() {
        let written = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            out
        };
        assert_eq!(written(&|out| int(out, 1, 150)), [0x08, 0x96, 0x01]);
        assert_eq!(written(&|out| text(out, 2, "testing")), *b"\x12\x07testing");
        assert_eq!(written(&|out| nested(out, 3, |inner| int(inner, 1, 150))), [0x1a, 0x03, 0x08, 0x96, 0x01]);
    }
}
