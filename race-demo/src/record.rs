//! Records that give themselves away when they are mixed.

use common::ConnStat;

/// How many 32-bit words a record has: the count and sixteen words of text.
pub(crate) const WORDS: usize = size_of::<ConnStat>() / size_of::<u32>();

/// The record number `count`: its text is 63 letters from A to P that depend on the count.
pub(crate) fn record(count: u32) -> ConnStat {
    let mut words = [0; WORDS];
    words[0] = count;
    // Multiplying by an odd number maps different counts to different products, and the letters of
    // the first four words hold all 64 bits of it: so no two records have the same text.
    let product = u64::from(count).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let pieces: [u16; 4] = bytemuck::cast(product);
    for (word, piece) in words[1..].iter_mut().zip(pieces.iter().cycle()) {
        let bits = u32::from(*piece);
        // Four bits to a byte, and 'A' for 0: a letter.
        let nibbles = bits & 0xf | (bits & 0xf0) << 4 | (bits & 0xf00) << 8 | (bits & 0xf000) << 12;
        *word = nibbles + u32::from_ne_bytes(*b"AAAA");
    }
    // The last byte is C's NUL.
    words[WORDS - 1] &= u32::from_ne_bytes([0xff, 0xff, 0xff, 0]);
    bytemuck::cast(words)
}

/// Whether `stat` is no record that was ever published, but a mixture of two.
pub(crate) fn is_torn(stat: &ConnStat) -> bool {
    *stat != record(stat.count.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first `words` words of record 1000, the rest of record `other`.
    fn mixture(words: usize, other: u32) -> ConnStat {
        let (first, second): ([u32; WORDS], [u32; WORDS]) =
            (bytemuck::cast(record(1000)), bytemuck::cast(record(other)));
        bytemuck::cast(std::array::from_fn::<u32, WORDS, _>(|word| {
            if word < words { first[word] } else { second[word] }
        }))
    }

    #[test]
    fn a_record_is_63_letters_and_a_nul() {
        let stat = record(0xdead_beef);
        let text = stat.ip().to_string();
        assert_eq!(stat.count.cast_unsigned(), 0xdead_beef);
        assert_eq!(text.len(), 63, "{text}");
        assert!(text.bytes().all(|letter| (b'A'..=b'P').contains(&letter)), "{text}");
    }

    /// What the letters of the first four words say.
    fn in_letters(count: u32) -> u64 {
        let words: [u32; WORDS] = bytemuck::cast(record(count));
        let nibbles = |word: u32| word - u32::from_ne_bytes(*b"AAAA");
        let piece = |word| (0..4).map(|it| (nibbles(word) >> (8 * it) & 0xf) << (4 * it)).sum();
        let pieces: [u32; 4] = std::array::from_fn(|it| piece(words[1 + it]));
        bytemuck::cast(pieces.map(|it| u16::try_from(it).expect("four nibbles")))
    }

    #[test]
    fn no_two_records_have_the_same_text() {
        // A multiple of an odd number, modulo a power of two, tells of which number it is the multiple.
        let odd = in_letters(1);
        assert_eq!(odd % 2, 1);
        for bit in 0..32 {
            for count in [1 << bit, (1 << bit) - 1, u32::MAX << bit, 0x1234_5678 >> bit] {
                assert_eq!(in_letters(count), odd.wrapping_mul(count.into()), "record {count}");
            }
        }
    }

    #[test]
    fn every_mixture_of_two_records_is_torn() {
        assert!(!is_torn(&record(1000)));
        for other in (0..1000).chain([u32::MAX, 1 << 31, 1001]) {
            for words in 1..WORDS {
                assert!(is_torn(&mixture(words, other)), "{words} words of 1000, then of {other}");
            }
        }
    }
}
