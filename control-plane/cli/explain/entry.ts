/** What a word that the load balancer says means, and what can be done: a sentence each. */
export interface Explanation {
  readonly means: string;
  readonly do: string;
}

/** A table of them: code, what it means, what to do. */
export type ExplanationTable = Readonly<Record<string, readonly [means: string, advice: string]>>;

/** The rows of a table as explanations. */
export const explanations = (table: ExplanationTable): [string, Explanation][] =>
  Object.entries(table).map(([code, [means, advice]]) => [code, { means, do: advice }]);
