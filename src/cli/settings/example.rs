use super::{Setting, Shape};

const HEAD: &str = "\
# Every setting of simdeck with its default, or with a sample where there is none.
# Made by `simdeck config example`. Copy it to simdeck.toml and take the # from what you change.
# A flag comes before the environment, the environment before this file.
";

/// A commented settings file with every setting in it.
pub fn example() -> String {
    let mut text = HEAD.to_owned();
    let mut section = "";
    for setting in Setting::all() {
        if setting.section != section {
            section = setting.section;
            text += &format!("\n[{section}]\n");
        }
        text += &format!("\n# {}\n", setting.doc);
        let also = match setting.file_variable() {
            Some(variable) => format!(" or {variable} (one a line)"),
            None => String::new(),
        };
        let (variable, flag) = (setting.variable(), setting.flag());
        text += &format!("# Environment: {variable}{also}; flag: --{flag}\n");
        text += &format!("#{} = {}\n", setting.key, value(setting));
    }
    text
}

/// The default, or else the sample, as TOML.
fn value(setting: &Setting) -> String {
    match (setting.default, setting.shape) {
        (Some(default), Shape::Number) => default.to_owned(),
        (Some(default), _) => format!("{default:?}"),
        (None, _) => setting.sample.to_owned(),
    }
}
