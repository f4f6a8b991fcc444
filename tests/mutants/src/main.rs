//! Puts every mutant that cargo-mutants lists into one copy of the source, each behind a switch, so
//! that one build serves them all.
//!
//!     simdeck-mutants LIST FROM TO [DROPPED]
//!
//! LIST is what `cargo mutants --list --json` prints; a mutant's number is its place in it. FROM and
//! TO are the roots of two checkouts. DROPPED names the numbers to leave out, one a line. Prints the
//! numbers of the mutants that have no switch.
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    error::Error,
    fs,
    path::Path,
};

use proc_macro2::{LineColumn, Span};
use serde_json::Value;
use syn::{
    Block, Expr, ExprBinary, ExprUnary,
    spanned::Spanned,
    visit::{self, Visit},
};

/// What stands for the number of the mutant that is live.
const ON: &str = "crate::mutant::on";

/// A mutant of the list.
struct Mutant {
    number: usize,
    replacement: String,
}

/// The mutants of a file by what they are and where they begin.
type Mutants = HashMap<(String, usize), Vec<Mutant>>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [list, from, to, rest @ ..] = arguments.as_slice() else {
        return Err("simdeck-mutants LIST FROM TO [DROPPED]".into());
    };
    let dropped: BTreeSet<usize> = match rest {
        [path] => fs::read_to_string(path)?.lines().map(str::parse).collect::<Result<_, _>>()?,
        _ => BTreeSet::new(),
    };
    let list: Vec<Value> = serde_json::from_str(&fs::read_to_string(list)?)?;
    let mut files: BTreeMap<&str, Vec<(usize, &Value)>> = BTreeMap::new();
    for (number, mutant) in list.iter().enumerate() {
        let file = mutant["file"].as_str().ok_or("a mutant without a file")?;
        files.entry(file).or_default().push((number, mutant));
    }
    for (file, mutants) in files {
        let source = fs::read_to_string(Path::new(from).join(file))?;
        let (switched, done) = switched(&source, &mutants, &dropped)?;
        write_if_changed(&Path::new(to).join(file), &switched)?;
        for (number, _) in mutants.iter().filter(|(number, _)| !done.contains(number)) {
            println!("{number}");
        }
    }
    Ok(())
}

/// Cargo builds anew what is newer, whether it differs or not.
fn write_if_changed(path: &Path, text: &str) -> std::io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        Ok(())
    } else {
        fs::write(path, text)
    }
}

/// The source with its switches, and the numbers of the mutants that have one.
fn switched(
    source: &str,
    mutants: &[(usize, &Value)],
    dropped: &BTreeSet<usize>,
) -> Result<(String, BTreeSet<usize>), Box<dyn Error>> {
    let lines = Lines::of(source);
    let mut by_place = Mutants::new();
    for (number, mutant) in mutants.iter().filter(|(number, _)| !dropped.contains(number)) {
        let genre = mutant["genre"].as_str().ok_or("a mutant without a genre")?;
        // A function that hides its type has one type, which its first `return` would settle.
        let returns = mutant["function"]["return_type"].as_str().unwrap_or_default();
        if genre == "FnValue" && returns.contains("impl ") {
            continue;
        }
        let start = &mutant["span"]["start"];
        let line = start["line"].as_u64().ok_or("a mutant without a line")?;
        let column = start["column"].as_u64().ok_or("a mutant without a column")?;
        let place = lines.offset(usize::try_from(line)?, usize::try_from(column)? - 1);
        let replacement = mutant["replacement"].as_str().unwrap_or_default().to_owned();
        let here = by_place.entry((genre.to_owned(), place)).or_default();
        here.push(Mutant { number: *number, replacement });
    }
    let file = syn::parse_file(source)?;
    let mut switches = Switches {
        source,
        lines: &lines,
        mutants: &by_place,
        inserted: Vec::new(),
        blocks: Vec::new(),
        done: BTreeSet::new(),
    };
    switches.visit_file(&file);
    switches.functions();
    Ok((inserted(source, switches.inserted), switches.done))
}

/// The source with each text put in at its place. What opens at a place stands in the order of the
/// walk, the outer first; what closes there in the opposite one, before whatever opens.
fn inserted(source: &str, mut inserted: Vec<Inserted>) -> String {
    inserted.sort_by_key(|text| (text.place, text.opens, text.order));
    let mut all = String::with_capacity(source.len() * 3);
    let mut last = 0;
    for Inserted { place, text, .. } in inserted {
        all.push_str(&source[last..place]);
        all.push_str(&text);
        last = place;
    }
    all + &source[last..]
}

/// A text to put in.
struct Inserted {
    place: usize,
    opens: bool,
    order: isize,
    text: String,
}

/// Where the lines of a source begin.
struct Lines<'source> {
    source: &'source str,
    starts: Vec<usize>,
}

impl<'source> Lines<'source> {
    fn of(source: &'source str) -> Self {
        let ends = source.match_indices('\n').map(|(end, _)| end + 1);
        Self { source, starts: std::iter::once(0).chain(ends).collect() }
    }

    /// The byte at this line (the first is 1) and after this many characters.
    fn offset(&self, line: usize, characters: usize) -> usize {
        let start = self.starts[line - 1];
        let rest = &self.source[start..];
        start + rest.char_indices().nth(characters).map_or(rest.len(), |(place, _)| place)
    }

    fn at(&self, place: LineColumn) -> usize {
        self.offset(place.line, place.column)
    }
}

/// Walks a file and notes what to put in where.
struct Switches<'file> {
    source: &'file str,
    lines: &'file Lines<'file>,
    mutants: &'file Mutants,
    inserted: Vec<Inserted>,
    /// Where the bodies of functions begin and end.
    blocks: Vec<(usize, usize)>,
    done: BTreeSet<usize>,
}

impl<'file> Switches<'file> {
    fn range(&self, span: Span) -> (usize, usize) {
        (self.lines.at(span.start()), self.lines.at(span.end()))
    }

    fn text(&self, span: Span) -> &'file str {
        let (start, end) = self.range(span);
        &self.source[start..end]
    }

    fn of(&self, genre: &str, span: Span) -> &'file [Mutant] {
        self.mutants.get(&(genre.to_owned(), self.range(span).0)).map_or(&[], Vec::as_slice)
    }

    fn around(&mut self, (start, end): (usize, usize), before: String, after: &str) {
        let order = isize::try_from(self.inserted.len()).unwrap_or(isize::MAX);
        self.inserted.push(Inserted { place: start, opens: true, order, text: before });
        let after = after.to_owned();
        self.inserted.push(Inserted { place: end, opens: false, order: -order, text: after });
    }

    /// Chooses between this expression and what its mutants make of it.
    fn choose(&mut self, span: Span, mutants: &[Mutant], text: impl Fn(&Mutant) -> String) {
        let mut before = String::from("(");
        for mutant in mutants {
            before += &format!("if {ON}({}) {{ {} }} else ", mutant.number, text(mutant));
            self.done.insert(mutant.number);
        }
        if !mutants.is_empty() {
            self.around(self.range(span), before + "{ ", " })");
        }
    }

    /// What functions answer instead: a mutant belongs to the innermost body around it.
    fn functions(&mut self) {
        for ((genre, place), mutants) in self.mutants {
            let around = self.blocks.iter().filter(|(start, end)| start <= place && place < end);
            let Some((start, _)) = around.min_by_key(|(start, end)| end - start).copied() else {
                continue;
            };
            if genre == "FnValue" {
                for Mutant { number, replacement } in mutants {
                    let text = format!(" if {ON}({number}) {{ return {replacement}; }}");
                    self.inserted.push(Inserted { place: start + 1, opens: true, order: -1, text });
                    self.done.insert(*number);
                }
            }
        }
    }
}

/// Whether a condition binds a name, which no expression around it may hide.
fn binds(condition: &Expr) -> bool {
    match condition {
        Expr::Let(_) => true,
        Expr::Binary(both) => binds(&both.left) || binds(&both.right),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Switches<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.block(&item.block, item.sig.constness.is_some());
        if item.sig.constness.is_none() {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.block(&item.block, item.sig.constness.is_some());
        if item.sig.constness.is_none() {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.block(block, false);
        }
        visit::visit_trait_item_fn(self, item);
    }

    // What is reckoned by the compiler can have no switch.
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}

    fn visit_expr_binary(&mut self, both: &'ast ExprBinary) {
        let mutants = self.of("BinaryOperator", both.op.span());
        if !binds(&both.left) && !binds(&both.right) {
            let (left, right) = (self.text(both.left.span()), self.text(both.right.span()));
            self.choose(both.span(), mutants, |mutant| {
                format!("({left}) {} ({right})", mutant.replacement)
            });
        }
        visit::visit_expr_binary(self, both);
    }

    fn visit_expr_unary(&mut self, unary: &'ast ExprUnary) {
        let mutants = self.of("UnaryOperator", unary.op.span());
        let operand = self.text(unary.expr.span());
        self.choose(unary.span(), mutants, |_| format!("({operand})"));
        visit::visit_expr_unary(self, unary);
    }

    fn visit_expr_struct(&mut self, made: &'ast syn::ExprStruct) {
        if let Some(rest) = &made.rest {
            for field in &made.fields {
                self.field(field, rest, self.text(made.path.span()));
            }
        }
        visit::visit_expr_struct(self, made);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        for Mutant { number, .. } in self.of("MatchArm", arm.span()) {
            let (_, end) = self.range(arm.pat.span());
            self.around((end, end), String::new(), &format!(" if !{ON}({number})"));
            self.done.insert(*number);
        }
        if let Some((_, guard)) = &arm.guard
            && !binds(guard)
        {
            for Mutant { number, replacement } in self.of("MatchArmGuard", guard.span()) {
                let before = if replacement == "true" {
                    format!("({ON}({number}) || (")
                } else {
                    format!("(!{ON}({number}) && (")
                };
                self.around(self.range(guard.span()), before, "))");
                self.done.insert(*number);
            }
        }
        visit::visit_arm(self, arm);
    }
}

impl Switches<'_> {
    /// A field that is left to the rest of its structure.
    fn field(&mut self, field: &syn::FieldValue, rest: &Expr, of: &str) {
        let rest_text = self.text(rest.span());
        let name = self.text(field.member.span());
        for Mutant { number, .. } in self.of("StructField", field.span()) {
            let left = match rest {
                Expr::Path(_) => format!("{rest_text}.{name}"),
                _ => format!("{{ let rest: {of} = {rest_text}; rest.{name} }}"),
            };
            let named = if field.colon_token.is_some() { "" } else { &format!("{name}: ") };
            let before = format!("{named}if {ON}({number}) {{ {left} }} else {{ ");
            self.around(self.range(field.expr.span()), before, " }");
            self.done.insert(*number);
        }
    }

    fn block(&mut self, block: &Block, constant: bool) {
        if !constant {
            let range = self.range(block.span());
            self.blocks.push(range);
        }
    }
}
