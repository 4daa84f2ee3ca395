export function generateMachineCode(): Promise<Map<string, string>> {
  return Promise.resolve(new Map());
}
