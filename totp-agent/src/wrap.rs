//! Lines of a mail's body, broken before they are too long to be read well (RFC 5322 section 2.1.1).

/// Characters of a line, where words allow it.
pub const COLUMNS: usize = 72;

/// Breaks a text anew: lines that stand together become one paragraph, and a line that begins with a space stands for
/// itself, what is broken off it beneath its second column. A word that is longer than a line stays whole.
#[must_use]
pub fn wrapped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut paragraph = Vec::new();
    for line in text.lines() {
        let stands_alone = line.is_empty() || line.starts_with(' ');
        if !stands_alone {
            paragraph.extend(line.split_whitespace());
            continue;
        }
        put(&mut out, "", "", &mut paragraph);
        let (title, value) = line.split_at(column(line));
        if value.is_empty() {
            out.push_str(title.trim_end());
            out.push('\n');
        } else {
            paragraph.extend(value.split_whitespace());
            put(&mut out, title, &" ".repeat(title.chars().count()), &mut paragraph);
        }
    }
    put(&mut out, "", "", &mut paragraph);
    out
}

/// Where the second column of `  Reason:  phone stolen` begins; the end where there is none.
fn column(line: &str) -> usize {
    let mut words = 0_usize;
    let mut in_word = false;
    for (at, c) in line.char_indices() {
        let starts = !in_word && c != ' ';
        words = words.saturating_add(usize::from(starts));
        if starts && words == 2 {
            return at;
        }
        in_word = c != ' ';
    }
    line.len()
}

/// Puts the words down: behind `first`, and `further` before each further line. None are left.
fn put(out: &mut String, first: &str, further: &str, words: &mut Vec<&str>) {
    let mut length = 0_usize;
    for (nth, word) in words.drain(..).enumerate() {
        let characters = word.chars().count();
        if nth == 0 {
            out.push_str(first);
            length = first.chars().count();
        } else if length.saturating_add(1).saturating_add(characters) > COLUMNS {
            out.push('\n');
            out.push_str(further);
            length = further.chars().count();
        } else {
            out.push(' ');
            length = length.saturating_add(1);
        }
        out.push_str(word);
        length = length.saturating_add(characters);
    }
    if length > 0 {
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paragraphs_are_broken_and_facts_stand_beneath_each_other() {
        let long = "word ".repeat(20);
        let text = format!("One\ntwo.\n\n  When:    now\n  Reason:  {long}\n\nend\n");
        let twelve = "word ".repeat(12);
        let expected = format!(
            "One two.\n\n  When:    now\n  Reason:  {}\n           {}\n\nend\n",
            twelve.trim_end(),
            "word ".repeat(8).trim_end()
        );
        assert_eq!(wrapped(&text), expected);
    }

    #[test]
    fn a_word_that_is_longer_than_a_line_stays_whole() {
        let long = "x".repeat(100);
        assert_eq!(wrapped(&format!("a {long} b\n")), format!("a\n{long}\nb\n"));
    }

    proptest! {
        #[test]
        fn no_word_is_lost_and_no_line_is_longer(text in "[a-z \n\u{e4}]{0,400}") {
            let out = wrapped(&text);
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(words(&out), words(&text));
            for line in out.lines() {
                let one_word = line.split_whitespace().count() <= 2;
                prop_assert!(line.chars().count() <= COLUMNS || one_word, "{}", line);
            }
        }
    }
}
