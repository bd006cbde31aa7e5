/** The methods of a service's handlers by name: the generated types let any other name be there as well. */
type MethodOf<H> = keyof {
  [M in keyof H as string extends M ? never : number extends M ? never : M]: H[M];
};

/** Handlers of a service without those of some methods, which are written elsewhere. */
export type HandlersWithout<H, M extends MethodOf<H>> = Pick<H, Exclude<MethodOf<H>, M>>;
