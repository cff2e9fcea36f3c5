//! The task files that come with Quarterdeck, from `tasks/` beside this room's source.
//!
//! They are those of lm-evaluation-harness 0.4.13 by EleutherAI (MIT, see `tasks/LICENSE.md`), unchanged but for the groups in
//! `bbh/*/_seven.yaml`, which are ours: BIG-Bench Hard's seven tasks that have files here.

macro_rules! files {
    ($($path:literal),* $(,)?) => { &[$(($path, include_str!(concat!("../tasks/", $path)))),*] };
}

/// Paths and texts.
pub(crate) const FILES: &[(&str, &str)] = files![
    "arc/arc_challenge.yaml",
    "arc/arc_easy.yaml",
    "bbh/cot_fewshot/_cot_fewshot_template_yaml",
    "bbh/cot_fewshot/_seven.yaml",
    "bbh/cot_fewshot/boolean_expressions.yaml",
    "bbh/cot_fewshot/causal_judgement.yaml",
    "bbh/cot_fewshot/date_understanding.yaml",
    "bbh/cot_fewshot/navigate.yaml",
    "bbh/cot_fewshot/object_counting.yaml",
    "bbh/cot_fewshot/sports_understanding.yaml",
    "bbh/cot_fewshot/word_sorting.yaml",
    "bbh/cot_zeroshot/_cot_zeroshot_template_yaml",
    "bbh/cot_zeroshot/_seven.yaml",
    "bbh/cot_zeroshot/boolean_expressions.yaml",
    "bbh/cot_zeroshot/causal_judgement.yaml",
    "bbh/cot_zeroshot/date_understanding.yaml",
    "bbh/cot_zeroshot/navigate.yaml",
    "bbh/cot_zeroshot/object_counting.yaml",
    "bbh/cot_zeroshot/sports_understanding.yaml",
    "bbh/cot_zeroshot/word_sorting.yaml",
    "bbh/fewshot/_fewshot_template_yaml",
    "bbh/fewshot/_seven.yaml",
    "bbh/fewshot/boolean_expressions.yaml",
    "bbh/fewshot/causal_judgement.yaml",
    "bbh/fewshot/date_understanding.yaml",
    "bbh/fewshot/navigate.yaml",
    "bbh/fewshot/object_counting.yaml",
    "bbh/fewshot/sports_understanding.yaml",
    "bbh/fewshot/word_sorting.yaml",
    "bbh/zeroshot/_seven.yaml",
    "bbh/zeroshot/_zeroshot_template_yaml",
    "bbh/zeroshot/boolean_expressions.yaml",
    "bbh/zeroshot/causal_judgement.yaml",
    "bbh/zeroshot/date_understanding.yaml",
    "bbh/zeroshot/navigate.yaml",
    "bbh/zeroshot/object_counting.yaml",
    "bbh/zeroshot/sports_understanding.yaml",
    "bbh/zeroshot/word_sorting.yaml",
    "gsm8k/gsm8k-cot-zeroshot.yaml",
    "gsm8k/gsm8k-cot.yaml",
    "gsm8k/gsm8k.yaml",
    "hellaswag/hellaswag.yaml",
    "lambada/lambada_openai.yaml",
    "truthfulqa/truthfulqa_mc1.yaml",
    "truthfulqa/truthfulqa_mc2.yaml",
    "wikitext/wikitext.yaml",
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Library;

    fn paths(folder: &Path, found: &mut Vec<String>, root: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                paths(&path, found, root);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/"));
            }
        }
    }

    #[test]
    fn every_file_is_listed_and_can_be_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tasks");
        let mut there = Vec::new();
        paths(&root, &mut there, &root);
        there.retain(|path| path != "LICENSE.md");
        there.sort();
        assert_eq!(there, FILES.iter().map(|(path, _)| *path).collect::<Vec<_>>());
        let library = Library::shipped();
        let files = FILES.iter().filter(|(path, _)| path.ends_with(".yaml")).count();
        assert_eq!(library.list().len(), files, "a file is broken");
        for listed in library.list() {
            library.load(&listed.name).unwrap_or_else(|error| panic!("{}: {error}", listed.name));
        }
    }
}
