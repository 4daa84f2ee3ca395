import { deepEqual, equal } from "node:assert/strict";
import { CreateImageRequest, ImagesDefinition } from "../../api/gen/services/images/v1/images.ts";
import { compileFilters } from "../filters/compile.ts";
import { imageFields } from "./image_message.ts";
import { ImagesService } from "./images.ts";
import { candidateKeys } from "./list_candidates.ts";
import { clientOf, withBench } from "./service_fixture.ts";

const target = { mediaType: "m", digest: `sha256:${"a".repeat(64)}`, size: 5 };
const keysSql = "SELECT name FROM images WHERE namespace = ? AND name > ? ORDER BY name LIMIT ?";

/** Filters, and whether they allow few enough objects to look these up. */
const cases: readonly (readonly [readonly string[], boolean])[] = [
  [["name==i7"], true],
  [["name==i7", "name==i3,labels.odd==1", "name==nope"], true],
  [["labels.ten==1"], true],
  [["labels.ten==1,name~=i1", "labels.ten==2"], true],
  [["labels.ten==1", "name==i3"], false],
  [["labels.ten==1,labels.odd!=1"], true],
  [["labels.all==1"], false],
  [["labels.ten!=1"], false],
  [['labels.ten==""'], false],
  [["labels.ten"], false],
  [["name~=i1[0-9]$"], true],
  [["name~=i1[0-9]$", "name==i3,name!=x"], true],
  [["name!=i3"], false],
  [["name"], false],
  [["name.x==i3"], false],
  [["target.digest~=a"], false],
];

Deno.test("candidateKeys() finds all that pass, in order, by name, by label or by expression", () =>
  withBench(async (bench) => {
    const images = clientOf(ImagesDefinition, new ImagesService(bench));
    await Promise.all(Array.from({ length: 1201 }, (_, index) => {
      const labels = { ten: String(index % 10), all: "1", odd: String(index % 2) };
      return images.create(CreateImageRequest.fromPartial({ image: { name: `i${index}`, target, labels } }));
    }));
    const store = bench.stores.of("default");
    const all = await store.images.list();
    const lookup = { objects: store.objects, kind: "image", field: "name", keysSql } as const;
    for (const [filters, few] of cases) {
      const keys = await candidateKeys(filters, lookup, new AbortController().signal);
      equal(keys !== undefined, few, filters.join(" or "));
      const matches = compileFilters(filters);
      const expected = all.filter((image) => matches(imageFields(image))).map(({ name }) => name);
      const { images: listed } = await images.list({ filters: [...filters] });
      deepEqual(listed.map(({ name }) => name), expected, filters.join(" or "));
      if (keys !== undefined) deepEqual(expected.filter((name) => !keys.includes(name)), [], filters.join(" or "));
    }
  }));
