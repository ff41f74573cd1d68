// What an application asks of its sidecar. The types are generated from the sidecar's own description:
//
//   npx openapi-typescript@7 http://localhost:19121/api/v1/openapi.json -o streamwarden-api.ts

import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./streamwarden-api.ts";

type Schemas = components["schemas"];

export class Streamwarden {
  readonly #api: Client<paths>;

  /** The token is that of `http.trim_token_file`; without it, nothing can be trimmed. */
  constructor(baseUrl = "http://localhost:19121", trimToken?: string) {
    const headers = trimToken === undefined ? {} : { Authorization: `Bearer ${trimToken}` };
    this.#api = createClient<paths>({ baseUrl, headers });
  }

  /** The worst health of all streams, and how many have each. */
  async getHealthStatus(): Promise<Schemas["Summary"]> {
    return (await answered(this.#api.GET("/api/v1/streams"))).summary;
  }

  /** One stream, with its health, the reason and its groups. */
  async getStreamHealth(name: string): Promise<Schemas["Stream"]> {
    return (await answered(this.#api.GET("/api/v1/streams/{key}", { params: { path: { key: name } } }))).stream;
  }

  /** Removes what no group needs beyond the newest `maxLength` entries. By default it only says what would go. */
  async trimStream(name: string, maxLength: number, dryRun = true): Promise<Schemas["Trim"]> {
    const body = { max_length: maxLength, dry_run: dryRun, exact: false, mode: "safe" } as const;
    return answered(this.#api.POST("/api/v1/streams/{key}/trim", { params: { path: { key: name } }, body }));
  }
}

async function answered<Data>(answer: Promise<{ data?: Data; error?: Schemas["Problem"] }>): Promise<Data> {
  const { data, error } = await answer;
  if (data === undefined) throw new Error(error === undefined ? "an empty answer" : `${error.title}: ${error.detail}`);
  return data;
}
