//! Whether an answer is the printed one.

use crate::varying::{Kind, Piece, pieces};

/// What stood for what: the printed text of something that varies, and the text that came.
pub type Pairs = Vec<(Kind, String, String)>;

/// Whether `answer` is what is `printed`, line by line; a printed line `…` stands for any lines.
/// Answers what stood for what varies, or nothing if it is something else.
pub fn compare(printed: &[&str], answer: &[&str]) -> Option<Pairs> {
    let Some((first, others)) = printed.split_first() else {
        return answer.is_empty().then(Vec::new);
    };
    if first.trim() == "…" {
        // The shortest stretch first, so that each later line is compared with the first one that fits.
        return (0..=answer.len()).find_map(|from| compare(others, &answer[from..]));
    }
    let (line, rest) = answer.split_first()?;
    let mut pairs = line_pairs(&pieces(first), &pieces(line))?;
    pairs.extend(compare(others, rest)?);
    Some(pairs)
}

fn line_pairs(printed: &[Piece], came: &[Piece]) -> Option<Pairs> {
    match (printed.split_first(), came.split_first()) {
        (None, None) => Some(Vec::new()),
        (Some((Piece::LeftOut, others)), _) => {
            (0..=came.len()).find_map(|from| line_pairs(others, &came[from..]))
        }
        (Some((Piece::Letter(wanted), others)), Some((Piece::Letter(is), rest))) if wanted == is => {
            line_pairs(others, rest)
        }
        (Some((Piece::Varying(kind, wanted), others)), Some((Piece::Varying(other, is), rest)))
            if kind == other =>
        {
            let mut pairs = vec![(*kind, wanted.clone(), is.clone())];
            pairs.extend(line_pairs(others, rest)?);
            Some(pairs)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(printed: &str, answer: &str) -> bool {
        let lines = |text: &'static str| text.lines().collect::<Vec<_>>();
        let (printed, answer) = (printed.to_owned().leak(), answer.to_owned().leak());
        compare(&lines(printed), &lines(answer)).is_some()
    }

    #[test]
    fn a_changed_word_is_another_answer() {
        let sold = "sold 1 × TEE-NEON (1): 25.00 EUR\nclaim 10447c234994bce4:2";
        assert!(is(sold, "sold 1 × TEE-NEON (1): 25.00 EUR\nclaim ffffffffffffffff:17"));
        for other in [
            "sold 2 × TEE-NEON (1): 25.00 EUR\nclaim ffffffffffffffff:17",
            "sold 1 × TEE-NEON (1): 25.01 EUR\nclaim ffffffffffffffff:17",
            "sold 1 × TEE-NEON (1): 25.00 EUR\nclaim none",
            "sold 1 × TEE-NEON (1): 25.00 EUR",
            "sold 1 × TEE-NEON (1): 25.00 EUR\nclaim ffffffffffffffff:17\nand more",
            "sold 1 × TEE-NEON (1): 25.00 EUR\nclaim 09:37:13",
        ] {
            assert!(!is(sold, other), "{other}");
        }
    }

    #[test]
    fn what_is_left_out_may_be_anything() {
        assert!(is("first\n…\nlast", "first\nlast"));
        assert!(is("first\n…\nlast", "first\nmany\nothers\nlast"));
        assert!(!is("first\n…\nlast", "first\nmany\nothers"));
        assert!(is("hold … units", "hold some 40 units"));
        assert!(!is("hold … units", "hold some 40 unit"));
        // Columns are as wide as what is in them.
        assert!(is("SKU   SOLD\nTEE      1", "SKU  SOLD\nTEE     1"));
    }
}
