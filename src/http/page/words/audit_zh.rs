//! Subjects and details of the audit in Chinese. The store has them in English, as the API tells them:
//! their fixed parts are translated, and names, paths and what an error says stay as they are.

/// Texts and parts of texts as a whole.
const WHOLE: [(&str, &str); 16] = [
    ("records", "记录"),
    ("store", "数据库"),
    ("command line", "命令行"),
    ("cut short", "中断"),
    ("certificate replaced", "证书已更换"),
    ("certificate kept: no pair that fits", "沿用原证书：新证书与私钥不匹配"),
    ("keys and tokens kept: the settings have a fault", "沿用原密钥与令牌：配置有误"),
    ("API key kept: the new one is too short", "沿用原 API 密钥：新密钥过短"),
    ("the key is not of scope admin", "密钥没有 admin 权限"),
    ("there is no such SIM", "没有这张 SIM 卡"),
    ("there is no such router", "没有这台路由器"),
    ("RCMS lists it", "RCMS 仍列有该路由器"),
    ("given up: this start does not ask for it", "已放弃：本次启动未要求重建"),
    ("as of an unknown time", "备份时间未知"),
    ("push keys", "推送密钥"),
    ("admin API key", "管理员 API 密钥"),
];

/// What begins so goes on with a name, a list or what an error says.
const BEGINNINGS: [(&str, &str); 10] = [
    ("into ", "移至分组 "),
    ("before in ", "原分组 "),
    ("instead of ", "原为 "),
    ("as of ", "备份时间 "),
    ("filtered by ", "筛选条件："),
    ("changed settings: ", "变更的设置："),
    ("the days stay those of ", "按日汇总仍按时区 "),
    ("push keys: ", "推送密钥："),
    ("path tokens: ", "路径令牌："),
    ("admin API key: ", "管理员 API 密钥："),
];

/// What is counted: in the singular, in the plural, in Chinese, and in which unit.
const COUNTED: [(&str, &str, &str, &str); 22] = [
    ("usage record", "usage records", "用量记录", "条"),
    ("message", "messages", "短信", "条"),
    ("notification", "notifications", "通知", "条"),
    ("held push", "held pushes", "未入库推送", "条"),
    ("push", "pushes", "推送", "条"),
    ("record", "records", "记录", "条"),
    ("row", "rows", "记录", "条"),
    ("audit row", "audit rows", "审计记录", "条"),
    ("entry of routers", "entries of routers", "路由器历史", "条"),
    ("entry of its history", "entries of its history", "历史记录", "条"),
    ("router", "routers", "路由器", "台"),
    ("line", "lines", "文件", "行"),
    ("SIM", "SIMs", "SIM 卡", "张"),
    ("duplicate", "duplicates", "重复", "条"),
    ("stored", "stored", "入库", "条"),
    ("quarantined", "quarantined", "待处理", "条"),
    ("stale", "stale", "已失效", "条"),
    ("refused", "refused", "拒收", "条"),
    ("still refused", "still refused", "仍未通过验证", "条"),
    ("discarded", "discarded", "丢弃", "条"),
    ("added", "added", "新增", "个"),
    ("removed", "removed", "移除", "个"),
];

/// A subject or details.
pub(super) fn said(text: &str) -> String {
    if let Some(whole) = whole(text) {
        return whole.to_owned();
    }
    // `12 of class=refused`: those that a filter names.
    if let Some((count, filter)) = text.split_once(" of ")
        && is_number(count)
    {
        return format!("{count} 条（{filter}）");
    }
    let sentences: Vec<String> = text.split("; ").map(sentence).collect();
    sentences.join("；")
}

fn sentence(text: &str) -> String {
    // What an error says goes on to the end, whatever is in it.
    if let Some(error) = text.strip_prefix("then: ") {
        return format!("随后：{error}");
    }
    if let Some(whole) = whole(text) {
        return whole.to_owned();
    }
    for (english, chinese) in BEGINNINGS {
        if let Some(rest) = text.strip_prefix(english) {
            return format!("{chinese}{}", list(rest));
        }
    }
    match text.split_once(": ") {
        Some((head, rest)) if counted(head).is_some() => {
            format!("{}：{}", part(head), list(rest))
        }
        _ => list(text),
    }
}

fn list(text: &str) -> String {
    let parts: Vec<String> = text.split(", ").map(part).collect();
    parts.join("，")
}

fn part(text: &str) -> String {
    let begun = || {
        let found = BEGINNINGS.into_iter().find(|(english, _)| text.starts_with(english))?;
        Some(format!("{}{}", found.1, &text[found.0.len()..]))
    };
    let form = || {
        let (rows, form) = text.split_once(" as ")?;
        Some(format!("{}（{form}）", counted(rows)?))
    };
    let known = whole(text).map(str::to_owned);
    known.or_else(|| counted(text)).or_else(form).or_else(begun).unwrap_or_else(|| text.to_owned())
}

fn counted(text: &str) -> Option<String> {
    let (count, noun) = text.split_once(' ')?;
    let known = COUNTED.into_iter().find(|(one, many, ..)| [*one, *many].contains(&noun))?;
    is_number(count).then(|| format!("{} {count} {}", known.2, known.3))
}

fn whole(text: &str) -> Option<&'static str> {
    WHOLE.into_iter().find(|(english, _)| *english == text).map(|(_, chinese)| chinese)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b',')
}

#[cfg(test)]
mod tests {
    use super::said;

    #[test]
    fn fixed_parts_are_translated_and_names_are_not() {
        for (english, chinese) in [
            ("1 usage record, 0 messages", "用量记录 1 条，短信 0 条"),
            (
                "1 line: 1 stored, 0 duplicates, 0 refused",
                "文件 1 行：入库 1 条，重复 0 条，拒收 0 条",
            ),
            ("1500 rows as csv, filtered by apn, mcc", "记录 1500 条（csv），筛选条件：apn，mcc"),
            ("12 of class=refused", "12 条（class=refused）"),
            (
                "push keys: 1 added, 2 removed; path tokens: 1 added",
                "推送密钥：新增 1 个，移除 2 个；路径令牌：新增 1 个",
            ),
            (
                "3 records, as of 2024-09-05T01:30:48.000Z",
                "记录 3 条，备份时间 2024-09-05T01:30:48.000Z",
            ),
            (
                "2 discarded; then: the disk is full, at last",
                "丢弃 2 条；随后：the disk is full, at last",
            ),
            ("into records of Berlin", "移至分组 records of Berlin"),
            ("8986001234567890123", "8986001234567890123"),
            ("", ""),
        ] {
            assert_eq!(said(english), chinese);
        }
    }
}
