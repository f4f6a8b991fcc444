//! What holds for every input, looked for by proptest among small and hostile ones.
mod aggregates;
mod cells;
mod dates;
mod filters;
mod forms;
mod import;
mod json;
mod keep;
mod mention;
mod proof;
mod sims;
mod sums;
