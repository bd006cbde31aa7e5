/** Told of every call that was answered: its method, the name of its status, its length. */
export type ObserveRpc = (method: string, statusName: string, seconds: number) => void;
