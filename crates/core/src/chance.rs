//! Chance and hashing without a generator: every number follows from its arguments.
//!
//! In: a seed, or bytes. Out: 64 well-mixed bits. The same on every machine and in every version,
//! so that replicas place a session alike without asking each other.

use twox_hash::XxHash3_64;

/// Mixes a seed: neighbouring seeds give unrelated numbers. The finaliser of `SplitMix64`
/// (Steele, Lea and Flood, 2014, <https://doi.org/10.1145/2714064.2660195>).
pub const fn mix(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Combines two numbers into a seed of their own; the order counts.
pub const fn pair(one: u64, other: u64) -> u64 {
    mix(mix(one) ^ other.rotate_left(32))
}

/// Hashes bytes (`XXH3`, 64 bits). Not for anything that an attacker may choose to collide.
pub fn hash(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

/// Returns a number below `bound`, evenly; zero if `bound` is zero.
pub const fn below(seed: u64, bound: u64) -> u64 {
    ((mix(seed) as u128 * bound as u128) >> 64) as u64
}

/// Returns a number in `0.0..1.0`, evenly.
pub const fn fraction(seed: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    {
        (mix(seed) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_published_ones() {
        // First outputs of SplitMix64 seeded with 0, and XXH3-64 of nothing.
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(hash(b""), 0x2d06_8005_38d3_94c2);
    }

    #[test]
    fn numbers_spread_evenly() {
        let mut counts = [0_u32; 10];
        for seed in 0..100_000 {
            let place = usize::try_from(below(seed, 10)).unwrap();
            counts[place] += 1;
            assert!((0.0..1.0).contains(&fraction(seed)));
        }
        assert!(
            counts.iter().all(|count| (9_500..10_500).contains(count)),
            "{counts:?}"
        );
        assert_eq!(below(7, 0), 0);
    }

    #[test]
    fn a_pair_has_an_order() {
        assert_ne!(pair(1, 2), pair(2, 1));
    }
}
