// The structured output that the Node clients ask for.
import { z } from "zod";

export const city = z.object({ city: z.string(), coastal: z.boolean(), rivers: z.array(z.string()) });
